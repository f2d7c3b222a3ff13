"""What the loader processes of benchmark_annotations do."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidrec.data.annotations import VideoTable

STEP = 32  # rows between two that are read: every page of the arrays is touched


class RowReader:
    """A dataset each item of which reads the whole list and tells the private memory of its process.

    Args:
        rows: a table, or a list of paths.
        num_items: one for each loader process.
    """

    def __init__(self, rows: "VideoTable | list[str]", num_items: int):
        self.rows, self.num_items = rows, num_items

    def __len__(self) -> int:
        return self.num_items

    def __getitem__(self, index: int) -> int:
        for row in range(0, len(self.rows), STEP):
            if isinstance(self.rows, list):
                len(self.rows[row])
            else:
                self.rows.path(row), self.rows.label(row), self.rows.span(row)
        return private_bytes()


def private_bytes() -> int:
    """Bytes of this process that no other process shares, from /proc/self/smaps_rollup."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        return 1024 * sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
