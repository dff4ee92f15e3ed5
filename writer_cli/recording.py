"""One kept answer: the request, the answer as it came, and the file that holds both.

A recording is a JSON file, `DIRECTORY/ab/abcd….json`. Its name is the key of its request: what
decides the text is part of the key; the host, the organization and the key of the API are not.
"""

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

VERSION = 1
"""Of the file and of the key; a file of another version counts as damaged."""

LARGEST_FILE = 128 * 1024 * 1024
"""Bytes of a recording that is read; an answer has 64 MiB at the most."""

JSON = "application/json"
EVENT_STREAM = "text/event-stream"

DONE = "[DONE]"
"""The end mark that some streams have."""

_NOT_RAW = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a file has as `\\uXXXX`: what acts on a terminal, and halves of surrogate pairs."""

_LARGEST_EXACT = 2**53
"""Up to here, every whole number is a float too."""


class DamagedError(ValueError):
    """A file is no recording, or not the one that its name says."""


class Question(NamedTuple):
    """What decides which text is the answer.

    Attributes:
        api: The dialect: `enterprise`, `studio` or `openai`.
        model_id: The model.
        customization_id: The customization, if one was asked.
        request: The JSON body, by the names of the API, without the fields that ask for a stream.
        salt: A text that asks for another sample of the same request.
        sandbox: Whether the embedded model was asked, whose texts are never those of the API.
    """

    api: str
    model_id: str
    customization_id: str | None
    request: dict[str, Any]
    salt: str | None = None
    sandbox: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The question as its key and its file have it.

        A field that is null was not set. 1.0 is written as 1: clients send either (RFC 8785,
        3.2.2.3, does the same).
        """
        fields = {name: value for name, value in self.request.items() if value is not None}
        return self._asdict() | {"request": _plain(fields), "version": VERSION}

    def key(self) -> str:
        """Return 64 hexadecimal digits: the SHA-256 of the canonical JSON of the question."""
        import hashlib

        canonical = json.dumps(
            self.as_dict(), ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )
        return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()

    def path_in(self, directory: Path) -> Path:
        """Return where the recording of the answer is, or would be."""
        key = self.key()
        return directory / key[:2] / f"{key}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """An answer with the question that it answers. Either `body` or `events` has the answer.

    Attributes:
        question: What was asked.
        recorded_at: When the answer came: UTC, as `2026-11-25T18:00:00Z`.
        action_id: Writer's id of the request.
        body: The JSON of an answer that came whole.
        events: The data of each event of an answer that came as a stream.
    """

    question: Question
    recorded_at: str
    action_id: str | None
    body: dict[str, Any] | None = None
    events: tuple[str, ...] = ()

    @property
    def content_type(self) -> str:
        """`application/json`, or `text/event-stream`."""
        return EVENT_STREAM if self.body is None else JSON

    @property
    def headers(self) -> dict[str, str]:
        """The headers that an answer made of this has."""
        identified = {} if self.action_id is None else {"action-id": self.action_id}
        return {"content-type": self.content_type} | identified

    def chunks(self) -> list[bytes]:
        """Return the body of an answer made of this, each event of a stream apart."""
        if self.body is not None:
            return [_as_json(self.body).encode()]
        return [event_bytes(data) for data in self.events]

    def same_answer(self, other: Self) -> bool:
        """Whether both have the same question and answer, whenever they were recorded."""
        return self._told() == other._told()

    def to_bytes(self) -> bytes:
        """Return the file: names in alphabetical order, but the body's as the server sent them."""
        told = self._told()
        told |= {"action_id": self.action_id, "recorded_at": self.recorded_at}
        told["request"] = json.loads(json.dumps(told["request"], sort_keys=True))
        return (_as_json({name: told[name] for name in sorted(told)}, indent=2) + "\n").encode()

    def _told(self) -> dict[str, Any]:
        answer: dict[str, Any] = {"body": self.body}
        if self.body is None:
            answer = {"events": list(self.events)}
        return self.question.as_dict() | {"answer": answer}


def read(path: Path) -> Recording | None:
    """Read a recording; return None where there is no file.

    Raises `DamagedError` where the file cannot be read, is no recording, or has another name than
    its question says.
    """
    try:
        content = _content(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamagedError(error.strerror or str(error)) from error
    try:
        told = json.loads(content)
        if told["version"] != VERSION:
            raise DamagedError(f"its version is {told['version']!r:.20}, and not {VERSION}")
        recording = _checked(told)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, DamagedError):
            raise
        raise DamagedError("it is no recording") from error
    if path.name != f"{recording.question.key()}.json":
        raise DamagedError("its name is not the key of its request")
    return recording


def note_use(path: Path) -> None:
    """Note that a recording was used, as the time of its file: git does not look at that."""
    with suppress(OSError):  # a folder that may only be read
        os.utime(path)


def files(directory: Path) -> Iterator[Path]:
    """Yield the files in a folder that have the name of a recording, in the order of the names."""
    for path in sorted(directory.glob("[0-9a-f][0-9a-f]/*.json")):
        if re.fullmatch(r"[0-9a-f]{64}", path.stem) and path.stem.startswith(path.parent.name):
            yield path


def event_bytes(data: str) -> bytes:
    """Return an event of a stream with this data (WHATWG HTML, "server-sent events")."""
    lines = data.split("\n")
    return ("".join(f"data: {line}\n" for line in lines) + "\n").encode("utf-8", "replace")


def _content(path: Path) -> bytes:
    # A folder of recordings may come from others: what is no file must not be waited for.
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DamagedError("it is no file")
    if status.st_size > LARGEST_FILE:
        raise DamagedError(f"it is larger than {LARGEST_FILE // 2**20} MiB")
    return path.read_bytes()


def _checked(told: dict[str, Any]) -> Recording:
    """Return the recording. Raises `ValueError`, `KeyError` or `TypeError` where it is none."""
    for name, kind in _TYPES.items():
        if not isinstance(told[name], kind):
            raise TypeError(name)
    body, events = told["answer"].get("body"), told["answer"].get("events")
    if not isinstance(body, dict) and not _are_texts(events):
        raise TypeError("answer")
    datetime.fromisoformat(told["recorded_at"])
    return Recording(
        question=Question(*(told[name] for name in Question._fields)),
        recorded_at=told["recorded_at"],
        action_id=told["action_id"],
        body=body if isinstance(body, dict) else None,
        events=() if isinstance(body, dict) else tuple(events),
    )


_TYPES: dict[str, Any] = {
    "api": str,
    "model_id": str,
    "customization_id": str | None,
    "request": dict,
    "salt": str | None,
    "sandbox": bool,
    "answer": dict,
    "action_id": str | None,
    "recorded_at": str,
}
"""What a recording has, beside its version."""


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)


def _plain(value: Any) -> Any:
    """Write a float that is a whole number as one."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_EXACT
    return int(value) if is_whole else value


def _as_json(value: Any, *, indent: int | None = None) -> str:
    document = json.dumps(value, ensure_ascii=False, indent=indent)
    return _NOT_RAW.sub(lambda match: f"\\u{ord(match[0]):04x}", document)
