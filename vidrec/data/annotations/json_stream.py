"""The entries of a JSON file one after the other, so that a list of ten million never lies in memory at once."""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

BLOCK_BYTES = 2**22
LONGEST = 2**22  # characters of a string
_BLANKS = " \t\n\r"
_SPACE = re.compile(rf"[{_BLANKS}]*").match
_SCAN = json.JSONDecoder().scan_once


class NoEntriesError(ValueError):
    """The document is neither a list nor an object."""


def read_json(path: Path, seen: Callable[[bytes], None]) -> Iterator[tuple[str, Any]]:
    """(key, value) of each entry of a JSON object, or ('', value) of a list. The repeated keys of an object all come.

    Args:
        seen: gets all bytes of the file, block by block.

    Raises:
        ValueError, RecursionError: the file is no JSON; said when its wrong part is reached.
        NoEntriesError: the document is something else.
    """
    with path.open("rb") as file:
        text = _Text(file, seen)
        opening = text.peek()
        if opening not in ("[", "{"):
            value = text.value()
            text.end()
            raise NoEntriesError(f"holds a JSON {type(value).__name__}")
        text.take()
        closing, keyed = ("]", False) if opening == "[" else ("}", True)
        mark = text.take() if text.peek() == closing else ","
        while mark == ",":
            yield text.key() if keyed else "", text.value()
            mark = text.take()
        if mark != closing:
            raise text.error("Expecting ',' delimiter", -len(mark))
        text.end()


class _Text:
    """The text of a file, of which little more than one value is held at a time."""

    def __init__(self, file: BinaryIO, seen: Callable[[bytes], None]):
        self._file, self._seen = file, seen
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._rest, self._place = "", 0
        self._chars, self._lines, self._column = 0, 0, 0  # before the rest

    def peek(self) -> str:
        """The next character that is no blank; '' at the end."""
        character = self._rest[self._place : self._place + 1]
        if character and character not in _BLANKS:
            return character
        self._place = _SPACE(self._rest, self._place).end()
        while self._place == len(self._rest) and self._more():
            self._place = _SPACE(self._rest, self._place).end()
        return self._rest[self._place : self._place + 1]

    def take(self) -> str:
        """The next character that is no blank, which is then behind; '' at the end."""
        character = self.peek()
        self._place += len(character)
        return character

    def key(self) -> str:
        """The key of an entry, with its colon."""
        if self.peek() != '"':
            raise self.error("Expecting property name enclosed in double quotes")
        key = self.value()
        if self.take() != ":":
            raise self.error("Expecting ':' delimiter", -1)
        return key

    def value(self) -> Any:
        """The next value."""
        while True:
            self._place = _SPACE(self._rest, self._place).end()
            try:
                value, end = _SCAN(self._rest, self._place)
            except (json.JSONDecodeError, StopIteration) as error:
                message, place = (error.msg, error.pos) if isinstance(error, ValueError) else ("Expecting value", error.value)
                offset = place - self._place
                # what is wrong not far from the end of what was read may be a value that goes on
                if len(self._rest) - place > LONGEST or not self._more():
                    raise self.error(message, offset) from error
                continue
            length = end - self._place
            if end + 2 < len(self._rest) or not self._more():  # a number may go on: 4 as 4.5, and that as 4.5e+3
                self._place += length
                return value

    def end(self) -> None:
        """Reads to the end, where nothing may follow."""
        if self.peek():
            raise self.error("Extra data")

    def error(self, message: str, offset: int = 0) -> ValueError:
        """What is wrong so many characters behind the place that is reached."""
        place = self._place + offset
        lines = self._rest.count("\n", 0, place)
        column = place - self._rest.rfind("\n", 0, place) - 1 + (0 if lines else self._column)
        return ValueError(f"{message}: line {self._lines + lines + 1} column {column + 1} (char {self._chars + place})")

    def _more(self) -> bool:
        """Reads a block, and forgets what is behind; False at the end of the file."""
        done = self._rest[: self._place]
        block = self._file.read(max(BLOCK_BYTES, len(self._rest) - self._place))
        self._seen(block)
        text = self._decoder.decode(block, final=not block)
        newline = done.rfind("\n")
        self._column = self._column + len(done) if newline < 0 else len(done) - newline - 1
        self._chars, self._lines = self._chars + len(done), self._lines + done.count("\n")
        self._rest, self._place = self._rest[self._place :] + text, 0
        return bool(block)
