"""The error for an answer that is not recorded: it names the nearest recording."""

import json
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from writer_cli.cache.folder import Cache
from writer_cli.errors import NotRecordedError
from writer_cli.recording import Question
from writer_cli.redaction import redact

AROUND = 20
"""Characters before and after the first difference of two prompts that a message shows."""

LONGEST_VALUE = 60
"""Characters of any other value that a message shows."""


def not_recorded(cache: Cache, question: Question) -> NotRecordedError:
    """Return the error for a question without a recording; it names the nearest one."""
    message = f"the answer to this request is not recorded in {cache.directory}"
    now = _fields(question)
    compared = [_compare(path, _fields(recorded), now) for path, recorded in cache.questions()]
    hint = "to record it, run the same once without --offline and WRITER_OFFLINE"
    if compared:
        nearest = min(compared)
        message += f"; the nearest recording is {nearest.path}: {nearest.described(now)}"
        if nearest.names == ("sandbox",):
            hint = f"{'leave out' if now['sandbox'] else 'add'} --sandbox, as when it was recorded"
    return NotRecordedError(message, hint=hint)


class _Difference(NamedTuple):
    """How a recording differs from the request; the smallest one is the nearest recording."""

    differences: int
    unlikeness: float
    path: Path
    names: tuple[str, ...]
    recorded: dict[str, Any]

    def described(self, now: dict[str, Any]) -> str:
        """Name the first difference."""
        name = self.names[0]
        here, there = self.recorded.get(name), now.get(name)
        if isinstance(here, str) and isinstance(there, str):
            here, there = _around_difference(here, there)
        recorded = f"no {name}" if here is None else f"{name} {_shown(here)}"
        more = f", and {self.differences - 1} more" if self.differences > 1 else ""
        return f"recorded: {recorded}, now: {'none' if there is None else _shown(there)}{more}"


def _compare(path: Path, recorded: dict[str, Any], now: dict[str, Any]) -> _Difference:
    names = tuple(name for name in now | recorded if recorded.get(name) != now.get(name))
    one, other = str(recorded.get("prompt")), str(now.get("prompt"))
    alike = _same_length(one, other)
    alike += _same_length(one[alike:][::-1], other[alike:][::-1])
    return _Difference(len(names), 1 - alike / max(len(one), len(other)), path, names, recorded)


def _fields(question: Question) -> dict[str, Any]:
    """Return everything that can differ, by name; None is not set."""
    told = question.as_dict()
    request = {name: value for name, value in told.pop("request").items() if name != "model"}
    return told | request


def _around_difference(one: str, other: str) -> tuple[str, str]:
    place = _same_length(one, other)
    start, end = max(0, place - AROUND), place + AROUND

    def shown(text: str) -> str:
        before, after = "…" if start else "", "…" if len(text) > end else ""
        return f"{before}{text[start:end]}{after}"

    return shown(one), shown(other)


def _same_length(one: str, other: str) -> int:
    """Return how many characters at the beginning are the same."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _shown(value: Any) -> str:
    text = redact(json.dumps(value, ensure_ascii=False), None)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
