"""Text lists: a video a line, fields separated by blanks, commas or tabs, without a header.

The form is decided once per file from all its lines, so that a path may hold blanks without quotes:
  - commas where most lines end in a comma and a label, blanks (spaces, tabs) otherwise; in a .tsv file tabs where most lines have them;
  - `path start end label` where more than half of the lines end in start, a larger end, and a label; `path num_frames label` where
    more than half end in an integer and a label; `path label` otherwise. A line that does not fit is a mistake.
"""

import hashlib
from pathlib import Path

import numpy as np

from vidrec.data.annotations.bulk import count_clean_ends, read_fields, read_tails
from vidrec.data.annotations.chunks import Chunk, read_chunks
from vidrec.data.annotations.classes import ClassMap, loose_name
from vidrec.data.annotations.filling import Fields, Filler
from vidrec.data.annotations.line import Ends, Form, count_ends, parse_line
from vidrec.data.annotations.named import NameEnds
from vidrec.data.annotations.rows import Rows
from vidrec.utils.errors import DataError


def read_lines(path: Path, classes: ClassMap) -> tuple[Rows, str]:
    """The rows of a text list, and the SHA-256 of the file. Raises DataError where it lists nothing or lines are wrong."""
    names = NameEnds(classes) if classes.names else None
    form, sha256 = _survey(path, classes, names)
    fast = _fast(classes)

    def in_bulk(chunk: Chunk) -> Fields:
        fields = read_fields(chunk, form, classes.num_classes, names)
        return fields._replace(plain=fields.plain & fast)

    filler = Filler(path, in_bulk=in_bulk, carefully=lambda line, first: parse_line(line, form, classes, first=first))
    for chunk in read_chunks(path):
        filler.add(chunk)
    filler.mistakes.raise_if_any(str(form))
    return filler.rows, sha256


def _survey(path: Path, classes: ClassMap, names: NameEnds | None = None) -> tuple[Form, str]:
    """Form and SHA-256 of the file. Raises DataError where it lists nothing."""
    delimiters = (b"\t", None) if path.suffix.lower() == ".tsv" else (b",", None)
    counts, total, digest = [Ends(), Ends()], 0, hashlib.sha256()
    for chunk in read_chunks(path, digest.update):
        if names is None:
            tails = [read_tails(chunk, delimiters)] * 2
        else:
            tails = [read_tails(chunk, delimiters, names, named_by=delimiter) for delimiter in delimiters]
        clean = tails[0].clean & tails[1].clean & _fast(classes)
        for place, (one, delimiter) in enumerate(zip(tails, delimiters, strict=True)):
            counts[place] = counts[place].plus(count_clean_ends(chunk, one._replace(clean=clean), delimiter))
        total += int(clean.sum())
        for index in np.flatnonzero(~clean).tolist():
            if line := chunk.line(index):
                total += 1
                counts = [one.plus(other) for one, other in zip(counts, count_ends(line, delimiters, classes), strict=True)]
    if total == 0:
        raise DataError(f"The annotation file {path} lists no video; at least 1 line `path label` is needed. Check the file.")
    return _form(path, counts, total, delimiters), digest.hexdigest()


def _form(path: Path, counts: list[Ends], total: int, delimiters: tuple[bytes | None, ...]) -> Form:
    special, blanks = counts
    chosen = special.one > total / 2 or (special.one > 0 and special.one >= blanks.one)
    if not chosen and blanks.one == 0:
        chosen = path.suffix.lower() == ".csv"  # no label is right, and the message is to show the form of the file's name
    ends = special if chosen else blanks
    columns = 4 if ends.three > total / 2 else 3 if ends.two > total / 2 else 2
    return Form(delimiters[0] if chosen else None, columns)


def _fast(classes: ClassMap) -> bool:
    """Whether digits at the end of a line are a label for sure: no class name ends in one."""
    return not any(loose_name(name)[-1:].isdigit() for name in classes.names)
