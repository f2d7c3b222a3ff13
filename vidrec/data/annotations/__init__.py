"""Lists of videos: every common form of an annotation file -> one VideoTable of flat arrays (docs/annotations.md)."""

from vidrec.data.annotations.classes import read_class_names
from vidrec.data.annotations.read import read_table
from vidrec.data.annotations.table import VideoTable

__all__ = ["VideoTable", "read_class_names", "read_table"]
