"""Lists with several labels a video, where what is to be done with them takes one."""

from vidrec.data.annotations.table import VideoTable
from vidrec.utils.errors import ConfigError


def refuse_several_labels(table: VideoTable, what: str, *, loss: str, sampler: str) -> None:
    """Says what cannot be done with the several labels of a list.

    Args:
        what: begins the message: the list's key and path.
        loss: of CONFIG.TRAIN.LOSS; softmax takes one label.
        sampler: type of the training sampler; ClassBalancedSampler takes one label.

    Raises:
        ConfigError: with every mistake.
    """
    row = table.first_multi_label()
    found = f"{what}, whose row {row} (counted from 0) has the labels {table.label_set(row)}"
    mistakes = []
    if loss == "softmax":
        mistakes.append(
            f"{found}; CONFIG.TRAIN.LOSS softmax takes one label a video. Set CONFIG.TRAIN.LOSS bce or focal, or keep one in each row."
        )
    if sampler == "ClassBalancedSampler":
        mistakes.append(
            f"{found}; CONFIG.DATA.TRAIN_SAMPLER.TYPE ClassBalancedSampler draws by one label a video."
            " Take TrainSampler, and CONFIG.TRAIN.CLASS_WEIGHTS balanced for rare classes."
        )
    if mistakes:
        raise ConfigError(mistakes)
