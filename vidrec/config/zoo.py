"""Which row of the model zoo a config means: MODEL.NAME, MODEL.ZOO and a hashtag in MODEL.PRETRAINED together."""

from typing import NamedTuple

from vidrec.model_zoo import specs
from vidrec.model_zoo.weights import WeightsFile, published
from vidrec.utils.errors import ConfigError
from vidrec.utils.text import did_you_mean

NAME_KEY, ZOO_KEY, HASHTAG_KEY = "CONFIG.MODEL.NAME", "CONFIG.MODEL.ZOO", "CONFIG.MODEL.PRETRAINED"


class Mistake(NamedTuple):
    """A complete message, and the config key that it is about."""

    key: str
    text: str


def find_row(name: str, *, zoo: str = "", hashtag: str | bool = "") -> specs.Row:
    """The row of the model zoo that a name means. Raises ConfigError with the first mistake of `look_up`."""
    found = look_up(name, zoo=zoo, hashtag=hashtag)
    if isinstance(found, Mistake):
        raise ConfigError([found.text])
    return found


def look_up(name: str, *, zoo: str = "", hashtag: str | bool = "") -> specs.Row | Mistake:
    """The row of the model zoo that a name means, or what is wrong with the name, the section or the hashtag.

    Args:
        name: a zoo name, alone or as `torch/NAME` or `mxnet/NAME`.
        zoo: the section; '': the one before the name, else that of the hashtag's file, else torch where it has the name.
        hashtag: first digits of a published file's SHA-1; '', True and False select nothing.

    Example: i3d_resnet50_v1_kinetics400 is in both sections: alone it is torch's, with hashtag 568a722e mxnet's.
    """
    if zoo not in ("", *specs.SECTIONS):
        return Mistake(ZOO_KEY, f"{ZOO_KEY} is {zoo!r}; it must be one of {', '.join(specs.SECTIONS)}, or '' for whichever has the name.")
    prefix, slash, bare = name.rpartition("/")
    if slash and prefix not in specs.SECTIONS:
        return Mistake(
            NAME_KEY, f"{NAME_KEY} is {name!r}; before the / stands a section, torch or mxnet. Write torch/{bare} or mxnet/{bare}."
        )
    if prefix and zoo and prefix != zoo:
        return Mistake(ZOO_KEY, f"{ZOO_KEY} is {zoo!r} and {NAME_KEY} is {name!r}; both must mean the same section. Leave {ZOO_KEY} empty.")
    asked = _Asked(bare, prefix or zoo, NAME_KEY if prefix else ZOO_KEY)
    wrong = _name_mistake(asked)
    if wrong:
        return wrong
    chosen = _hashtag_file(asked, hashtag) if isinstance(hashtag, str) and hashtag else None
    if isinstance(chosen, Mistake):
        return chosen
    return specs.row(bare, chosen.section if chosen else asked.section)


def zoo_name(row: specs.Row) -> str:
    """The shortest NAME that means a row without ZOO or hashtag: `mxnet/NAME` for what is in both sections, else the name alone."""
    return row.name if specs.row(row.name) is row else f"{row.section}/{row.name}"


class _Asked(NamedTuple):
    """A name without its section, the section asked for ('': any), and the key that asks."""

    name: str
    section: str
    key: str


def _name_mistake(asked: _Asked) -> Mistake | None:
    has_it = specs.sections(asked.name)
    if not has_it:
        hint = did_you_mean(asked.name, specs.names(asked.section)) or did_you_mean(asked.name, specs.names())
        return Mistake(NAME_KEY, f"{NAME_KEY} is {asked.name!r}; it must be a name of the model zoo, see vidrec.list_models().{hint}")
    if asked.section in ("", *has_it):
        return None
    text = f"{asked.key} asks for the {asked.section} section, which has no {asked.name!r}; the {has_it[0]} section has it. Ask for that."
    return Mistake(asked.key, text)


def _hashtag_file(asked: _Asked, hashtag: str) -> WeightsFile | Mistake:
    """The one published file of the name that a hashtag begins."""
    files = [file for section in specs.sections(asked.name) for file in published(asked.name, section)]
    found = [file for file in files if file.has_hashtag(hashtag)]
    fitting = [file for file in found if asked.section in ("", file.section)]
    if len(fitting) == 1:
        return fitting[0]
    has = f"{HASHTAG_KEY} is {hashtag!r}"
    if not files:
        text = f"{has}, but {asked.name} has no published weights. Set {HASHTAG_KEY} False."
    elif not found:
        text = f"{has}, which no published file of {asked.name} has; it must be one of {_listed(files)}. Take one of those, or True."
    elif not fitting:
        text = f"{has}, a file of the {found[0].section} section, and {asked.key} asks for {asked.section}; they must agree. Change one."
    else:
        text = f"{has}, with which several published files of {asked.name} begin: {_listed(fitting)}. Write more digits."
    return Mistake(HASHTAG_KEY, text)


def _listed(files: list[WeightsFile]) -> str:
    return ", ".join(f"'{file.hashtag}' ({file.section})" for file in files)
