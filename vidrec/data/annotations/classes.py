"""Labels: class numbers, class names, and several of them in one field."""

import json
import re
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

from vidrec.model_zoo import labels
from vidrec.utils.errors import DataError
from vidrec.utils.text import did_you_mean

_INTEGER = re.compile(rb"[+-]?\d{1,9}")
_LIST = re.compile(rb"[+-]?\d{1,9}(?:\s*[,;|]\s*[+-]?\d{1,9})*")
CORRECT = "Correct it."
MAX_KEPT = 100_000  # fields of a list that are remembered with what they mean


class ClassMap:
    """From a label field to class numbers.

    Args:
        num_classes: numbers must lie in [0, num_classes).
        names: class names in the order of their numbers; without them labels are numbers only.
    """

    def __init__(self, num_classes: int, names: list[str] | None = None):
        self.num_classes, self.names = num_classes, names or []
        self._exact = {name: number for number, name in enumerate(self.names)}
        loose: dict[str, list[int]] = {}
        for number, name in enumerate(self.names):
            loose.setdefault(loose_name(name), []).append(number)
        self._loose = {name: numbers[0] for name, numbers in loose.items() if len(numbers) == 1}

    @cached_property
    def word_counts(self) -> list[int]:
        """Numbers of words of the names that have several, largest first."""
        return sorted({len(name.split()) for name in self.names} - {1}, reverse=True)

    def number(self, name: str) -> int | None:
        """The number of a class name, compared without case and punctuation where no name is exactly this; None where there is none."""
        return self._exact.get(name, self._loose.get(loose_name(name)))

    def is_label(self, field: bytes) -> bool:
        """Whether a field holds one integer or one known name."""
        return is_integer(field) or (bool(self.names) and self.number(text_of(unquoted(field.strip()))) is not None)

    def parse(self, field: bytes, remedy: str = CORRECT) -> tuple[int, ...]:
        """The class numbers of a field: an integer, a name, or integers or names separated by commas, semicolons or bars.

        Raises:
            ValueError: saying what is wrong with it.
        """
        content = unquoted(field.strip()).strip()
        if _INTEGER.fullmatch(content):
            return (self._checked(int(content)),)
        if _LIST.fullmatch(content):
            return tuple(dict.fromkeys(self._checked(int(part)) for part in re.split(rb"[,;|]", content)))
        text = text_of(content)
        if self.names and text:
            number = self.number(text)
            return (number,) if number is not None else self._several(text, remedy)
        raise ValueError(f"label {text!r} is not an integer; it must be an integer in [0, {self.num_classes}). {remedy}")

    def _several(self, text: str, remedy: str) -> tuple[int, ...]:
        """The numbers of names that `;`, `|` or a comma separates."""
        for separator in ";|,":
            parts = [part.strip() for part in text.split(separator)] if separator in text else []
            numbers = [self.number(part) for part in parts]
            if parts and None not in numbers:
                return tuple(dict.fromkeys(numbers))
        raise ValueError(
            f"label {text!r} is neither an integer in [0, {self.num_classes}) nor one of the {len(self.names)} class names."
            f"{did_you_mean(text, self.names)} {remedy}"
        )

    def _checked(self, label: int) -> int:
        if not 0 <= label < self.num_classes:
            raise ValueError(
                f"label {label} is outside [0, {self.num_classes}); labels count from 0. Correct it, or set CONFIG.DATA.NUM_CLASSES."
            )
        return label


def loose_name(name: str) -> str:
    """A class name as it is compared where spellings differ: `Putting [something] down` and `putting_something_down` are one."""
    return re.sub(r"[\W_]+", " ", name).strip().lower()


def is_integer(field: bytes) -> bool:
    """Whether a field is an integer of at most 9 digits, with or without quotes and a sign."""
    return _INTEGER.fullmatch(unquoted(field.strip())) is not None


def is_label_list(field: bytes) -> bool:
    """Whether a field holds several integers, as `0,3,7`."""
    content = unquoted(field.strip()).strip()
    return _LIST.fullmatch(content) is not None and _INTEGER.fullmatch(content) is None


def unquoted(field: bytes) -> bytes:
    """A field without the quotes around it, doubled ones inside made single."""
    if len(field) >= 2 and field[:1] == field[-1:] and field[:1] in (b'"', b"'"):
        return field[1:-1].replace(field[:1] * 2, field[:1])
    return field


def text_of(field: bytes) -> str:
    """A field as text, for people and for names."""
    return field.decode("utf-8", "replace")


def named_classes(names: str, *, num_classes: int | None) -> list[str] | None:
    """The class names that CONFIG.DATA.CLASS_NAMES means, a data set of the zoo or a file; None for ''.

    Args:
        num_classes: None takes any number.

    Raises:
        DataError: it is neither, or has another number of names than num_classes.
    """
    if not names:
        return None
    known = labels.data_sets()
    if names in known:
        return read_class_names(labels.label_file(names), num_classes=num_classes)
    if not Path(names).is_file():
        raise DataError(
            f"CONFIG.DATA.CLASS_NAMES is {names!r}, which is no file; it must be a text file with one class name a line, or one "
            f"of {', '.join(known)}. Check the path.{did_you_mean(names, known)}"
        )
    return read_class_names(names, num_classes=num_classes)


def read_class_names(path: str | Path, *, num_classes: int | None) -> list[str]:
    """Class names in the order of the labels, one a line, or a JSON list or `{name: number}` (Something-Something's labels file).

    Args:
        num_classes: None takes any number.

    Raises:
        DataError: the file cannot be read, or does not have num_classes names.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"CONFIG.DATA.CLASS_NAMES is {str(path)!r}, which cannot be read ({error}); it must be a text file in UTF-8. Check the path."
        ) from error
    is_json = Path(path).suffix.lower() == ".json"
    names = json_names(text, path) if is_json else [line.strip() for line in text.splitlines() if line.strip()]
    if num_classes is not None and len(names) != num_classes:
        raise DataError(
            f"{path} has {len(names)} class names, but CONFIG.DATA.NUM_CLASSES is {num_classes}; there must be one line per class, "
            "in the order of the labels. Change the one or the other."
        )
    repeated = next((name for name, times in Counter(names).items() if times > 1), None)
    if repeated is not None:
        places = ", ".join(str(number) for number, name in enumerate(names) if name == repeated)
        raise DataError(
            f"{path} names the classes {places} (from 0) alike, {repeated!r}; each needs a name of its own. Rename all but one."
        )
    return names


def json_names(text: str, path: str | Path) -> list[str]:
    """Class names of a JSON list, or of an object from name to number or number to name, in the order of the numbers."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}); class names are a list, or an object from name to number. Correct it.") from error
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return content
    numbered = _numbered(content) if isinstance(content, dict) else None
    if numbered is None:
        raise DataError(
            f"{path} does not hold class names: wanted is a list of names, or an object from name to number that uses each of 0, 1, 2 ... "
            "once. Correct it."
        )
    return numbered


def _numbered(content: dict[str, Any]) -> list[str] | None:
    """The names of {name: number} or {number: name} in order; None where the numbers are not 0, 1, 2 ..."""
    for pairs in (list(content.items()), [(name, number) for number, name in content.items()]):
        try:
            by_number = {int(number): name for name, number in pairs}
        except (TypeError, ValueError):
            continue
        if sorted(by_number) == list(range(len(content))) and all(isinstance(name, str) for name in by_number.values()):
            return [by_number[number] for number in range(len(content))]
    return None
