"""The zip in which MXNet weights are published: one `.params` file, read without unpacking anything to a path of the archive."""

import zipfile
from pathlib import Path
from types import TracebackType

from vidrec.utils.errors import WeightsError

MEMBER_LIMIT = 2 << 30  # bytes of the `.params` file, far more than any published one
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others inflate without a bound


class ParamsMember:
    """The only `.params` file in a zip, as a stream. To be used in a `with` statement.

    Args:
        path: the zip.
        limit: bytes that the inflated file may have. zipfile gives out no more bytes than the zip declares, whatever follows.

    Raises:
        WeightsError: for a file that is no zip, is damaged, holds no or several such files, or one that is too large.
    """

    def __init__(self, path: Path, *, limit: int = MEMBER_LIMIT):
        self._path, self._limit = path, limit
        self.size = 0  # bytes, inflated

    def __enter__(self) -> "ParamsMember":
        try:
            self._archive = zipfile.ZipFile(self._path)
        except Exception as error:  # a damaged zip can break zipfile in many ways; it is always the file's fault
            raise self._damaged(error) from error
        try:
            self._open_member()
        except BaseException:
            self._archive.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stream.close()
        self._archive.close()

    def read(self, count: int) -> bytes:
        """At most `count` inflated bytes; none at the end, where the checksum was right."""
        try:
            return self._stream.read(count)
        except Exception as error:  # as above
            raise self._damaged(error) from error

    def _open_member(self) -> None:
        members = [member for member in self._archive.infolist() if member.filename.endswith(".params")]
        if len(members) != 1:
            names = ", ".join(repr(member.filename[:80]) for member in (members or self._archive.infolist())[:3]) or "nothing"
            raise WeightsError(
                f"{self._path} holds {len(members)} .params files ({names}); a zip of weights holds exactly one. Give that file itself."
            )
        member = members[0]
        self.size = member.file_size
        if self.size > self._limit:
            raise WeightsError(
                f"{self._path} holds a .params file of {self.size:,} bytes; at most {self._limit:,} are read. Give a file of weights."
            )
        if member.compress_type not in _METHODS:
            raise self._damaged(f"its compression is method {member.compress_type}")
        if member.flag_bits & 1:
            raise self._damaged("it needs a password")
        try:
            self._stream = self._archive.open(member)
        except Exception as error:  # as above
            raise self._damaged(error) from error

    def _damaged(self, error: Exception | str) -> WeightsError:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return WeightsError(
            f"{self._path} cannot be read as a zip ({reason[:120]}); it must be a whole zip, stored or deflated, of one .params file. "
            "It is cut short or no weights file: get it again."
        )
