"""Lists the names of the model zoo with clip, costs and published accuracy."""

import json
from collections.abc import Sequence
from typing import Any

from vidrec.commands.cli import new_parser, run_command
from vidrec.commands.tables import clip_text, giga, mega, show, text_table
from vidrec.model_zoo import specs, weights
from vidrec.model_zoo.costs import RowCosts, read_costs
from vidrec.utils.errors import UserError
from vidrec.utils.text import did_you_mean

HEADER = ["name", "section", "clip", "crop", "parameters, M", "multiply-adds, G", "top-1, published", "hashtag"]


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = new_parser("list_models.py", description=__doc__)
    parser.add_argument("pattern", nargs="?", default="*", help="shell pattern of names, 'i3d*' or 'mxnet/*resnet50*'; all if not given")
    parser.add_argument("--zoo", choices=specs.SECTIONS, help="one section only")
    parser.add_argument("--data-set", choices=tuple(specs.CLASSES), help="one data set only; custom: the names for classes of your own")
    parser.add_argument("--json", action="store_true", help="print JSON, with exact numbers")
    args = parser.parse_args(argv)
    return run_command(lambda: list_models(args.pattern, zoo=args.zoo or "", data_set=args.data_set or "", as_json=args.json))


def list_models(pattern: str, *, zoo: str, data_set: str, as_json: bool) -> None:
    """Prints a line for each published file, and for each name without one. Raises UserError where nothing matches."""
    rows = find_rows(pattern, zoo=zoo, data_set=data_set)
    costs = read_costs()
    entries = [_entry(row, file, costs[row.section, row.name]) for row in rows for file in _own_files(row) or [None]]
    show(json.dumps(entries, indent=2) if as_json else _table(entries))


def find_rows(pattern: str, *, zoo: str = "", data_set: str = "") -> list[specs.Row]:
    """The rows whose name, or section/name, matches a shell pattern.

    Args:
        zoo, data_set: only those of a section, of a data set; '' for all.

    Raises:
        UserError: there are none.
    """
    chosen = [row for row in specs.ROWS if zoo in ("", row.section) and data_set in ("", row.data_set)]
    found = [row for row in specs.matching(pattern, zoo) if data_set in ("", row.data_set)]
    if not found:
        limits = "".join([f" in section {zoo}" if zoo else "", f" for {data_set}" if data_set else ""])
        typed = pattern.rpartition("/")[2].strip("*")
        close = did_you_mean(typed, {row.name for row in chosen}) or did_you_mean(typed, {row.name[: len(typed)] for row in chosen})
        raise UserError(
            f"No name of the model zoo{limits} matches {pattern!r}; a pattern is a whole name or has wildcards, as 'i3d*' and"
            f" 'mxnet/*resnet50*' do. Run list_models without a pattern to see every name.{close}"
        )
    return found


def _own_files(row: specs.Row) -> list[weights.WeightsFile]:
    """The files published under a name itself; a `_custom` or int8 name borrows those of another, whose accuracy is not its own."""
    return [file for file in weights.published(row.name, row.section) if file.name == row.name]


def _entry(row: specs.Row, file: weights.WeightsFile | None, costs: RowCosts) -> dict[str, Any]:
    segments = file.segments if file and row.clip.num_segments > 1 else row.clip.num_segments
    return {
        "name": row.name,
        "section": row.section,
        "data_set": row.data_set,
        "frame_stride": row.clip.frame_stride,
        "num_segments": segments,
        **costs.with_segments(segments)._asdict(),
        "top1_published": file.top1 if file else None,
        "pretrained_published": file.pretrained if file else None,
        "hashtag": file.hashtag if file else None,
    }


def _table(entries: list[dict[str, Any]]) -> str:
    lines = []
    for entry in entries:
        clip = clip_text(specs.Clip(*(entry[key] for key in specs.Clip._fields)))
        top1 = "-" if entry["top1_published"] is None else f"{entry['top1_published']:.2f}"
        numbers = [str(entry["crop_size"]), mega(entry["parameters"]), giga(entry["multiply_adds"]), top1]
        lines.append([entry["name"], entry["section"], clip, *numbers, entry["hashtag"] or "-"])
    return text_table(HEADER, lines, "<<<>>>><")
