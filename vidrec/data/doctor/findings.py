"""What the examined videos and the labels of the lists say about a data set. No file is touched here."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from vidrec.data.doctor.examine import Record
from vidrec.data.manifest import BAD

IMBALANCE = 10  # times as many videos in the largest class as in the smallest

# Kinds of findings in the order of the summary. Problems make the command fail, notes do not.
LABEL, LEAK, CONFLICT = "label out of range", "in train and val", "one video, several labels"
PROBLEMS = (*BAD, LABEL, LEAK, CONFLICT)
DUPLICATE, HEADER, LISTED, SHORT, STILL = "duplicate", "wrong header", "wrong count in the list", "too short", "still"
EMPTY, UNEVEN = "class without videos", "class imbalance"
NOTES = (DUPLICATE, HEADER, LISTED, SHORT, STILL, EMPTY, UNEVEN)


class Row(NamedTuple):
    """A line of a list."""

    split: str  # train or val
    row: int  # of the list, from 0
    path: str
    label: int
    num_frames: int = 0  # as the list has it, 0 unknown


class Finding(NamedTuple):
    kind: str  # of PROBLEMS or NOTES
    text: str
    path: str = ""  # of the video that it is about, '' for a class


class Removal(NamedTuple):
    """A line that the cleaned list leaves out."""

    row: Row
    kind: str
    text: str


def find(rows: Sequence[Row], records: Mapping[str, Record], *, num_classes: int, min_frames: int) -> list[Finding]:
    """Everything that is remarkable, in the order of PROBLEMS and NOTES.

    Args:
        rows: of all lists.
        records: of all their paths.
        num_classes: labels must lie in [0, num_classes).
        min_frames: that the config's clip spans.
    """
    found = [finding for _, record in sorted(records.items()) for finding in _of_video(record, min_frames)]
    found += [
        Finding(LABEL, f"{row.path}: label {row.label} in the {row.split} list is outside [0, {num_classes})", row.path)
        for row in rows
        if not 0 <= row.label < num_classes
    ]
    for row in rows:
        frames = records[row.path].frames
        if row.num_frames and frames and row.num_frames != frames:
            found.append(Finding(LISTED, f"{row.path}: the {row.split} list says {row.num_frames} frames, it has {frames}", row.path))
    for group in groups(rows, records):
        found += _of_group(group, records)
    found += _of_classes(rows, num_classes)
    return sorted(found, key=lambda finding: (*PROBLEMS, *NOTES).index(finding.kind))


def removals(rows: Sequence[Row], records: Mapping[str, Record], *, num_classes: int) -> list[Removal]:
    """The lines that do not belong into a cleaned list, each with the first reason that holds.

    Bad videos, labels out of range, all copies of a video that has several labels, training videos that are in the validation list too,
    and the second and later copies in one list.
    """
    removed = {}

    def remove(row: Row, kind: str, text: str) -> None:
        removed.setdefault((row.split, row.row), Removal(row, kind, text))

    for row in rows:
        record = records[row.path]
        if record.status in BAD:
            remove(row, record.status, record.reason)
        if not 0 <= row.label < num_classes:
            remove(row, LABEL, f"label {row.label} is outside [0, {num_classes})")
    for group in groups(rows, records):
        labels = {row.label for row in group}
        val = [row for row in group if row.split == "val"]
        for row in group:
            if len(labels) > 1:
                remove(row, CONFLICT, f"labels {', '.join(map(str, sorted(labels)))}")
            elif row.split == "train" and val:
                remove(row, LEAK, f"as {val[0].path}")
        for copies in (val, [row for row in group if row.split == "train"]):
            for row in copies[1:]:
                remove(row, DUPLICATE, f"as {copies[0].path}")
    return sorted(removed.values(), key=lambda removal: (removal.row.split, removal.row.row))


def groups(rows: Sequence[Row], records: Mapping[str, Record]) -> list[list[Row]]:
    """Rows of one content, where there are several: equal decoded frames, else equal bytes, else one path."""
    by_content = defaultdict(list)
    for row in rows:
        record = records[row.path]
        by_content[record.frames_hash or record.bytes_hash or row.path].append(row)
    return [group for group in by_content.values() if len(group) > 1]


def _of_video(record: Record, min_frames: int) -> Iterator[Finding]:
    if record.status in BAD:
        text = record.reason if record.path in record.reason else f"{record.path}: {record.reason}"
        yield Finding(record.status, text, record.path)
    if record.frames and record.header_frames and record.header_frames != record.frames and record.status != "truncated":
        hidden = f" (an edit list hides {record.hidden_frames})" if record.hidden_frames else ""
        text = f"{record.path}: the header says {record.header_frames} frames, {record.frames} can be shown{hidden}"
        yield Finding(HEADER, text, record.path)
    if 0 < record.frames < min_frames:
        text = f"{record.path}: {record.frames} frames, a clip of this config spans {min_frames}; the rest is filled up"
        yield Finding(SHORT, text, record.path)
    if record.still and record.status == "ok":
        yield Finding(STILL, f"{record.path}: all {record.frames} frames are alike", record.path)


def _of_group(group: list[Row], records: Mapping[str, Record]) -> Iterator[Finding]:
    """Duplicates of a content, and where they do harm."""
    first, paths = group[0], list(dict.fromkeys(row.path for row in group))
    if len(paths) == 1:
        same = "listed more than once"
    else:
        same = "same bytes" if len({records[path].bytes_hash for path in paths}) == 1 else "same frames, other files"
    labels = sorted({row.label for row in group})
    places = ", ".join(f"{row.path} ({row.split} row {row.row})" for row in group[:4]) + (", ..." if len(group) > 4 else "")
    if len(labels) > 1:
        yield Finding(CONFLICT, f"labels {', '.join(map(str, labels))}, {same}: {places}", first.path)
    if len({row.split for row in group}) > 1:
        yield Finding(LEAK, f"{same}: {places}", first.path)
    for split in ("train", "val"):
        copies = [row for row in group if row.split == split]
        for row in copies[1:]:
            yield Finding(DUPLICATE, f"{row.path} ({split} row {row.row}) is {copies[0].path} (row {copies[0].row}): {same}", row.path)


def _of_classes(rows: Sequence[Row], num_classes: int) -> Iterator[Finding]:
    for split in ("train", "val"):
        counts = Counter(row.label for row in rows if row.split == split and 0 <= row.label < num_classes)
        if not counts:
            continue
        empty = [label for label in range(num_classes) if label not in counts]
        if empty:
            shown = ", ".join(map(str, empty[:20])) + (", ..." if len(empty) > 20 else "")
            yield Finding(EMPTY, f"{split}: {len(empty)} of {num_classes} classes have no video: {shown}")
        (most, largest), (least, smallest) = counts.most_common()[0], counts.most_common()[-1]
        if largest > IMBALANCE * smallest:
            yield Finding(UNEVEN, f"{split}: class {most} has {largest} videos, class {least} has {smallest}")
