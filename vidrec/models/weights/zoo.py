"""Published weights of the zoo, by name and hashtag, into a network."""

from torch import nn

from vidrec.model_zoo.specs import SECTIONS, float_name
from vidrec.model_zoo.weights import WeightsFile, published
from vidrec.models.weights.fetch import fetch
from vidrec.models.weights.load import LoadReport, load_weights
from vidrec.utils.errors import WeightsError
from vidrec.utils.say import say


def load_published(model: nn.Module, name: str, *, section: str, hashtag: str = "", reset_head: bool = False) -> LoadReport:
    """Loads the zoo's published weights for a name of a section.

    Args:
        name: zoo name; a `_custom` name takes the Kinetics-400 file and keeps its fresh classifier, said in the log; an int8
            name takes the file of its float network.
        hashtag: first digits of the file's SHA-1, where a name has several files; '': the first one.

    Raises:
        WeightsError: for a name or hashtag without weights, or a file that cannot be fetched or is not the published one.
    """
    file = find_published(name, section, hashtag)
    if file.name != float_name(name):
        reset_head = True
        say(f"weights: {name} starts from {file.name} and keeps a fresh classifier")
    return load_weights(model, fetch(file), reset_head=reset_head)


def find_published(name: str, section: str, hashtag: str = "") -> WeightsFile:
    """The published file of a name in a section, by hashtag where one is given. Raises WeightsError where there is none."""
    if not name:
        raise WeightsError(
            "CONFIG.MODEL.PRETRAINED is set; published weights go by CONFIG.MODEL.NAME, which is ''. "
            "Set CONFIG.MODEL.NAME, or CONFIG.MODEL.PRETRAINED False."
        )
    files = published(name, section)
    if not files:
        raise WeightsError(
            f"{name} has no published weights in the {section} section{_elsewhere(name, section)}; CONFIG.MODEL.PRETRAINED must be False "
            "for it. Train it, or start from a file of your own with CONFIG.MODEL.LOAD True and CONFIG.MODEL.PRETRAINED_PATH."
        )
    chosen = [file for file in files if file.has_hashtag(hashtag)]
    if len(chosen) == 1 or (chosen and not hashtag):
        return chosen[0]
    fits = "several files of" if chosen else "no file of"
    raise WeightsError(
        f"CONFIG.MODEL.PRETRAINED is {hashtag!r}, which fits {fits} {name}; the {section} section has the published weights "
        f"{_hashtags(files)}{_elsewhere(name, section)}. Use one of those, or True."
    )


def _elsewhere(name: str, section: str) -> str:
    """What the other section has of a name. Example: `, and mxnet has '8a8d0d8d'`"""
    others = [(other, published(name, other)) for other in SECTIONS if other != section]
    return "".join(f", and {other} (CONFIG.MODEL.ZOO) has {_hashtags(files)}" for other, files in others if files)


def _hashtags(files: list[WeightsFile]) -> str:
    return ", ".join(repr(file.hashtag) for file in files)
