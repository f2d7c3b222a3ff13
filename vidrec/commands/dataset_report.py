"""What check_dataset prints and writes: summary, manifest, cleaned lists, and what these leave out."""

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.data.annotations import VideoTable
    from vidrec.data.doctor.examine import Record
    from vidrec.data.doctor.findings import Finding, Removal, Row

EXAMPLES = 10  # lines of one kind in the summary; all are in findings.csv


def report(cfg: "CfgNode", tables: "dict[str, VideoTable]", rows: "Sequence[Row]", records: "Mapping[str, Record]", out: Path) -> int:
    """Writes manifest.csv, findings.csv, cleaned lists and summary.txt, and prints the last. Returns the number of problems."""
    from vidrec.data.doctor.findings import PROBLEMS, find, removals

    data = cfg.CONFIG.DATA
    min_frames = data.NUM_SEGMENT * ((data.CLIP_LEN - 1) * data.FRAME_RATE + 1)
    found = find(rows, records, num_classes=data.NUM_CLASSES, min_frames=min_frames)
    removed = removals(rows, records, num_classes=data.NUM_CLASSES)
    annotations = {"train": data.TRAIN_ANNO_PATH, "val": data.VAL_ANNO_PATH}
    _write_csv(out / "findings.csv", ("kind", "path", "what"), [(finding.kind, finding.path, finding.text) for finding in found])
    lines = [(removal.row.split, removal.row.row, removal.row.path, removal.kind, removal.text) for removal in removed]
    _write_csv(out / "removed.csv", ("list", "row", "path", "kind", "why"), lines)
    _write_manifest(out / "manifest.csv", records, found)
    hints = [_clean(split, Path(annotations[split]), table, removed, out) for split, table in tables.items()]
    summary = "\n".join([*_summary(rows, records, found), "", f"manifest: CONFIG.DATA.MANIFEST {out / 'manifest.csv'}", *hints])
    _write_text(out / "summary.txt", f"{summary}\n")
    print(summary)
    return sum(finding.kind in PROBLEMS for finding in found)


def ranked(counts: Counter[str]) -> str:
    """Names with their counts, the largest first; equal ones by name, since workers end in any order. Example: `4 ok, 1 missing`"""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _summary(rows: "Sequence[Row]", records: "Mapping[str, Record]", found: "Sequence[Finding]") -> list[str]:
    from vidrec.data.doctor.findings import NOTES, PROBLEMS

    lists = Counter(row.split for row in rows)
    counts, kinds = Counter(record.status for record in records.values()), defaultdict(list)
    for finding in found:
        kinds[finding.kind].append(finding.text)
    frames, codecs = sum(record.frames for record in records.values()), Counter(record.codec for record in records.values() if record.codec)
    lines = [
        f"{len(records)} videos ({', '.join(f'{count} rows in {split}' for split, count in lists.items())}), {frames:,} frames decoded",
        f"status: {ranked(counts)}",
        f"codecs: {ranked(codecs) or 'none'}",
        *(_classes(rows, split) for split in lists),
    ]
    for title, group in (("PROBLEMS", PROBLEMS), ("NOTES", NOTES)):
        lines += ["", f"{title}: {sum(len(kinds[kind]) for kind in group) or 'none'}"]
        for kind in group:
            texts = kinds[kind]
            lines += [f"  {kind}: {len(texts)}"] if texts else []
            lines += [f"    {text}" for text in texts[:EXAMPLES]]
            lines += [f"    and {len(texts) - EXAMPLES} more in findings.csv"] if len(texts) > EXAMPLES else []
    return lines


def _classes(rows: "Sequence[Row]", split: str) -> str:
    counts = Counter(row.label for row in rows if row.split == split)
    largest, smallest = counts.most_common()[0], counts.most_common()[-1]
    text = f"{split}: {len(counts)} classes, of {smallest[1]} (class {smallest[0]}) to {largest[1]} videos (class {largest[0]})"
    return f"{text}; always saying the largest is right in {largest[1] / sum(counts.values()):.3f}"


def _write_manifest(path: Path, records: "Mapping[str, Record]", found: "Sequence[Finding]") -> None:
    from vidrec.data.manifest import BAD, ManifestRow, write_manifest
    from vidrec.engine.files import atomic_file

    notes = defaultdict(dict)
    for finding in found:
        if finding.path and finding.kind not in BAD:
            notes[finding.path][finding.kind] = None
    rows = (
        ManifestRow(
            path=record.path,
            status=record.status,
            frames=record.frames,
            fps=round(record.fps, 4),
            width=record.width,
            height=record.height,
            rotation=record.rotation,
            codec=record.codec,
            notes="; ".join(notes[record.path]),
            reason=record.reason,
        )
        for record in records.values()
    )
    with atomic_file(path) as file:
        write_manifest(_Text(file), sorted(rows))


def _clean(split: str, annotation: Path, table: "VideoTable", removed: "Sequence[Removal]", out: Path) -> str:
    """Writes a list without the removed rows, in the format of the original; returns how to use it."""
    from vidrec.data.shards.table import ShardTable
    from vidrec.engine.files import atomic_file

    rows = {removal.row.row for removal in removed if removal.row.split == split}
    if isinstance(table, ShardTable):
        return f"{split}: {len(rows)} of {len(table)} rows would go; a list of shards is not cleaned, use the manifest"
    cleaned = out / f"{split}_clean{annotation.suffix or '.txt'}"
    lines = _kept_lines(annotation, table, rows)
    if lines is None:
        cleaned = cleaned.with_suffix(".csv")
        lines = [f'"{table.path(row)}",{table.label(row)}\n'.encode() for row in range(len(table)) if row not in rows]
    with atomic_file(cleaned) as file:
        file.writelines(lines)
    key = split.upper()
    return (
        f"{split}: {len(table) - len(rows)} of {len(table)} rows are left in the cleaned list: CONFIG.DATA.{key}_ANNO_PATH {cleaned} "
        f"CONFIG.DATA.{key}_DATA_PATH {table.folder or annotation.parent}"
    )


def _kept_lines(annotation: Path, table: "VideoTable", rows: set[int]) -> list[bytes] | None:
    """The lines of a list as they are, without those of some rows; None where a row is not a line (JSON, a folder of classes).

    Empty lines, comments and one header line stand for no row.
    """
    if not annotation.is_file():
        return None
    lines = annotation.read_bytes().splitlines(keepends=True)
    listing = [number for number, line in enumerate(lines) if _names_a_video(line)]
    if len(listing) == len(table) + 1:
        del listing[0]  # the header
    if len(listing) != len(table):
        return None
    gone = {listing[row] for row in rows}
    return [line for number, line in enumerate(lines) if number not in gone]


def _names_a_video(line: bytes) -> bool:
    content = line.removeprefix(b"\xef\xbb\xbf").strip()
    return bool(content) and not content.startswith(b"#")


class _Text:
    """A file of bytes as one of text, for csv; paths that are no UTF-8 come out as they are."""

    def __init__(self, file):
        self._file = file

    def write(self, text: str) -> None:
        self._file.write(text.encode("utf-8", "surrogateescape"))


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence]) -> None:
    from vidrec.engine.files import atomic_file

    with atomic_file(path) as file:
        writer = csv.writer(_Text(file), lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _write_text(path: Path, text: str) -> None:
    from vidrec.engine.files import atomic_file

    with atomic_file(path) as file:
        _Text(file).write(text)
