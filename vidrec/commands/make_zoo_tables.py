"""Counts what every name of the model zoo costs and writes model_zoo/costs.json and model_zoo/README.md."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from vidrec.commands.cli import new_parser, run_command
from vidrec.commands.zoo_readme import zoo_readme
from vidrec.model_zoo import specs
from vidrec.model_zoo.costs import PATH, RowCosts, format_costs, read_costs
from vidrec.utils.errors import UserError

README = PATH.parent / "README.md"


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = new_parser("make_zoo_tables.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 and a diff where the files are out of step")
    parser.add_argument(
        "--keep-costs", action="store_true", help="take costs.json as it is, instead of counting every network, which takes two minutes"
    )
    args = parser.parse_args(argv)
    return run_command(lambda: make_zoo_tables(check=args.check, keep_costs=args.keep_costs))


def make_zoo_tables(*, check: bool, keep_costs: bool) -> None:
    """Writes both files, or compares them. Raises UserError with a diff where they differ, or where one cannot be written."""
    costs = read_costs() if keep_costs else count_rows(specs.ROWS)
    texts = {PATH: format_costs(costs), README: zoo_readme(costs)}
    if check:
        return check_files(texts)
    for path, text in texts.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror}); run this in a checkout whose model_zoo/ is yours.") from error
        print(path)


def check_files(texts: dict[Path, str]) -> None:
    """Raises UserError with a diff from the files as they are to the given texts, where they differ."""
    diffs = [diff for path, text in texts.items() if (diff := _difference(path, text))]
    if diffs:
        raise UserError(
            "\n".join(diffs) + "\n\nmodel_zoo/ is out of step with its tables (specs.py, weights.csv) or with the networks;"
            " it must be as python tools/make_zoo_tables.py writes it. Run that and commit what it writes."
        )
    print("in step: " + ", ".join(path.name for path in texts))


def _difference(path: Path, text: str) -> str:
    old = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return "\n".join(difflib.unified_diff(old, text.splitlines(), str(path), "as it should be", lineterm="", n=0))


def count_rows(rows: Sequence[specs.Row]) -> dict[tuple[str, str], RowCosts]:
    """The costs of rows; an int8 name has those of the float network that it loads."""
    return {(row.section, row.name): count_row(row) for row in rows}


def count_row(row: specs.Row) -> RowCosts:
    """The costs of one clip of a row, at its published size. Raises UserError where an operator is missed by the count."""
    import torch

    from vidrec.engine.costs import count_costs
    from vidrec.models.build import assemble

    num_classes = row.num_classes or specs.CUSTOM_CLASSES
    with torch.device("meta"):
        model = assemble(row.model, num_classes=num_classes)
    clip = row.clip
    costs = count_costs(model, num_frames=clip.num_frames, size=clip.crop_size)
    if costs.missed:
        raise UserError(
            f"The multiply-adds of {row.section}/{row.name} lack {', '.join(costs.missed)}; every operator must be counted or"
            " known to be cheap. Give it a handle, or a place in CHEAP, in vidrec/engine/costs.py."
        )
    frame = count_costs(model, num_frames=1, size=clip.crop_size).multiply_adds if clip.num_segments > 1 else None
    return RowCosts(clip.num_frames, clip.crop_size, num_classes, costs.parameters, costs.multiply_adds, frame)
