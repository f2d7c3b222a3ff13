"""The one door: an annotation file or folder of any form -> VideoTable."""

from pathlib import Path

from vidrec.data.annotations.classes import ClassMap, read_class_names
from vidrec.data.annotations.columns import has_header, read_columns
from vidrec.data.annotations.folders import class_folders, read_folders
from vidrec.data.annotations.lines import read_lines
from vidrec.data.annotations.records import labels_file, read_records
from vidrec.data.annotations.table import VideoTable
from vidrec.utils.errors import DataError


def read_table(
    annotation_file: str | Path, *, data_folder: str | Path = "", num_classes: int, class_names: list[str] | None = None
) -> VideoTable:
    """Reads and checks a list of videos.

    Args:
        annotation_file: a text list, .csv or .tsv (with or without a header), .json, or a folder of class folders. docs/annotations.md
            has all forms.
        data_folder: put before each relative path; '' is the annotation file's own folder.
        num_classes: labels must lie in [0, num_classes).
        class_names: in the order of the labels; with them labels may be names.

    Raises:
        DataError: the file or the folder is missing, the list is empty, or lines are wrong; all of them in one message, with file and
            line (at most 20 are shown).
    """
    path = Path(annotation_file)
    if path.is_dir() and path != Path() and class_folders(path):
        return read_folders(path, ClassMap(num_classes, class_names))
    folder = _checked_folder(path, data_folder)
    if path.suffix.lower() == ".json":
        if class_names is None and (beside := labels_file(path)):
            class_names = read_class_names(beside, num_classes=num_classes)
        rows, sha256 = read_records(path, ClassMap(num_classes, class_names), folder)
    elif path.suffix.lower() in (".csv", ".tsv") and (header := has_header(path)):
        rows, sha256 = read_columns(path, header, ClassMap(num_classes, class_names))
    else:
        rows, sha256 = read_lines(path, ClassMap(num_classes, class_names))
    return rows.table(folder=folder, sha256=sha256, num_classes=num_classes)


def _checked_folder(path: Path, data_folder: str | Path) -> Path:
    if path == Path():
        raise DataError(
            "The annotation file is not given (''); it must be a text file. Set CONFIG.DATA.TRAIN_ANNO_PATH and CONFIG.DATA.VAL_ANNO_PATH."
        )
    if not path.is_file():
        wrong = "is a folder" if path.is_dir() else "is no regular file" if path.exists() else "does not exist"
        raise DataError(
            f"The annotation file {path} {wrong}; a text file with lines `path label` "
            "(or a folder with a folder for each class) is wanted. Check CONFIG.DATA.TRAIN_ANNO_PATH and CONFIG.DATA.VAL_ANNO_PATH "
            f"(relative paths start at {Path.cwd()})."
        )
    with path.open("rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise DataError(f"The annotation file {path} is text in UTF-16; UTF-8 is wanted. Save it anew.")
    folder = Path(data_folder) if str(data_folder) else path.parent
    if not folder.is_dir():
        raise DataError(
            f"The data folder {folder} does not exist; it must hold the videos that {path} names. Check CONFIG.DATA.TRAIN_DATA_PATH and "
            "CONFIG.DATA.VAL_DATA_PATH ('' is the annotation file's folder)."
        )
    return folder
