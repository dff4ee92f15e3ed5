"""JSON that a server sent. What cannot be read in it becomes null, and the rest is used."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

DEEPEST = 100
"""Levels of lists and objects within each other; an answer has six."""

LONGEST_INTEGER = 1000
"""Digits. Python needs quadratic time to read them, and refuses more than 4,300."""

MOST_VALUES = 2_000_000
"""Values of an answer, about. Each takes up to 120 bytes of memory once it is read."""

UNREADABLE_NUMBER = (
    "the answer has a number that cannot be read (NaN, Infinity or too large): it is left out"
)
TOO_DEEP = f"the answer has a value with more than {DEEPEST} levels: it is left out"

_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)


class TooManyValuesError(ValueError):
    """A document has more than `MOST_VALUES` values."""


def read(text: str, warn: Callable[[str], None]) -> Any:
    """Return what a JSON text says, with null for each value that cannot be read.

    These are `NaN`, `Infinity`, numbers too large for a float, integers of more than
    `LONGEST_INTEGER` digits, and lists and objects below `DEEPEST` levels. `warn` is told of
    them.

    Raises:
        TooManyValuesError: It would fill the memory.
        ValueError: It is not JSON.
    """
    if sum(map(text.count, "{[,")) > MOST_VALUES:
        raise TooManyValuesError(f"more than {MOST_VALUES:,} values")

    def constant(_: str) -> None:
        warn(UNREADABLE_NUMBER)

    def integer(digits: str) -> int | None:
        if len(digits) <= LONGEST_INTEGER:
            return int(digits)
        warn(UNREADABLE_NUMBER)
        return None

    def real(digits: str) -> float | None:
        number = float(digits)
        if math.isfinite(number):
            return number
        warn(UNREADABLE_NUMBER)
        return None

    decode = json.JSONDecoder(parse_int=integer, parse_float=real, parse_constant=constant).decode
    return decode(_shallow(text, warn))


def _shallow(text: str, warn: Callable[[str], None]) -> str:
    """Return a JSON text with null for each list and object below `DEEPEST` levels.

    `warn` is told of them.
    """
    if text.count("{") + text.count("[") <= DEEPEST:
        return text
    pieces: list[str] = []
    start = depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        token = match[0]
        if token in {"[", "{"}:
            depth += 1
            if depth == DEEPEST + 1:
                pieces.append(text[start : match.start()])
        elif token in {"]", "}"}:
            if depth == DEEPEST + 1:
                pieces.append("null")
                start = match.end()
                warn(TOO_DEEP)
            depth -= 1
    # A text that ends down there is no JSON, with or without its rest.
    return "".join(pieces if depth > DEEPEST else [*pieces, text[start:]])
