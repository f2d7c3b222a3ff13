"""What each name costs at the clip it was published for (costs.json): measured by us, written by tools/make_zoo_tables.py."""

import json
from pathlib import Path
from typing import NamedTuple

PATH = Path(__file__).parent / "costs.json"


class RowCosts(NamedTuple):
    """Costs of one clip of a row of specs.ROWS.

    Args:
        num_frames, crop_size, num_classes: what was counted: [1, 3, num_frames, crop_size, crop_size] to num_classes scores.
        multiply_adds: see vidrec/engine/costs.py; of a 2-D network those of all its frames.
        frame_multiply_adds: of a 2-D network with a single frame; None for others.
    """

    num_frames: int
    crop_size: int
    num_classes: int
    parameters: int
    multiply_adds: int
    frame_multiply_adds: int | None = None

    def with_segments(self, num_segments: int) -> "RowCosts":
        """The costs for a published file, of which some of 2-D networks were trained with a single frame."""
        if self.frame_multiply_adds is None or num_segments == self.num_frames:
            return self
        assert num_segments == 1, "published are files of all segments or of one"
        return self._replace(num_frames=1, multiply_adds=self.frame_multiply_adds)


def read_costs(path: Path = PATH) -> dict[tuple[str, str], RowCosts]:
    """(section, name) -> costs."""
    sections = json.loads(path.read_text(encoding="utf-8"))
    return {(section, name): RowCosts(**costs) for section, rows in sections.items() for name, costs in rows.items()}


def format_costs(costs: dict[tuple[str, str], RowCosts]) -> str:
    """The text of costs.json: a line for each row, so that a change shows as one."""
    sections: dict[str, list[str]] = {}
    for (section, name), row in costs.items():
        sections.setdefault(section, []).append(f"    {json.dumps(name)}: {json.dumps(row._asdict())}")
    blocks = [f"  {json.dumps(section)}: {{\n" + ",\n".join(lines) + "\n  }" for section, lines in sections.items()]
    return "{\n" + ",\n".join(blocks) + "\n}\n"
