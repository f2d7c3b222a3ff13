"""A word about rows of a list that stand in it before."""

import logging

from vidrec.data.annotations.table import VideoTable


def warn_of_repeats(table: VideoTable, source: str) -> None:
    """Says in the log how many rows repeat another and which two are the first; nothing where none does."""
    repeats = table.repeats()
    if len(repeats):
        first, second = repeats[0]
        logging.getLogger("vidrec").warning(
            f"{source} repeats a path in {len(repeats)} of its {len(table)} rows, first in rows {first} and {second} (counted from 0); "
            "each row counts as a video of its own. Take the repeats out if that is not meant."
        )
