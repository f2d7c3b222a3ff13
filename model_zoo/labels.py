"""Class names of the zoo's data sets: labels/<data set>.txt, a name a line in the order of the labels."""

from pathlib import Path

TITLES = {
    "kinetics400": "Kinetics-400",
    "kinetics700": "Kinetics-700",
    "sthsthv2": "Something-Something-v2",
    "ucf101": "UCF101",
    "hmdb51": "HMDB51",
}
_FOLDER = Path(__file__).parent / "labels"


def data_sets() -> list[str]:
    """The data sets whose class names are here, sorted: hmdb51, kinetics400, ..."""
    return sorted(path.stem for path in _FOLDER.glob("*.txt"))


def label_file(data_set: str) -> Path:
    """The file of a data set's class names. Raises KeyError for one that is not among `data_sets()`."""
    if data_set not in data_sets():
        raise KeyError(data_set)
    return _FOLDER / f"{data_set}.txt"
