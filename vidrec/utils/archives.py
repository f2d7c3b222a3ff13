"""Zip files that unpack to more than they hold."""

import zipfile
from pathlib import Path


def swelling(path: Path) -> str:
    """Why a file of torch.save must not be opened: it would take more memory than it has bytes; '' where it may, or is no zip file.

    torch.save stores without compression, so that the parts of a whole file are never larger together than the file. Those of a
    bomb are: they are compressed a thousandfold, or lie over each other.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return ""
    size, unpacked = path.stat().st_size, sum(part.file_size for part in parts)
    return f"its {size:,} bytes would unpack to {unpacked:,}" if unpacked > size else ""
