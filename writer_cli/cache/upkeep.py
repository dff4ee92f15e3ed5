"""Count, check and delete the recordings in a folder."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from writer_cli import recording
from writer_cli.errors import OutputError, UsageError
from writer_cli.recording import DamagedError, Recording

MARK = ".mark"
"""The file whose modification time is the mark: `unused` counts only later uses."""

ABANDONED = 3600.0
"""Seconds after which a temporary file is one that a killed process has left."""


@dataclass
class Stats:
    """What a folder holds.

    Attributes:
        answers: How many recordings there are.
        damaged: How many files have the name of a recording but cannot be used.
        size: Bytes of all of them.
        oldest: When the oldest was recorded; None where there is none.
        newest: When the newest was.
        tokens: The sums of what the answers say they used.
    """

    answers: int = 0
    damaged: int = 0
    size: int = 0
    oldest: str | None = None
    newest: str | None = None
    tokens: Counter[str] = field(default_factory=Counter)


def stats(directory: Path) -> Stats:
    """Return what a folder holds."""
    found = Stats()
    for path, kept, _ in _read_all(directory):
        found.size += path.stat().st_size
        if kept is None:
            found.damaged += 1
            continue
        found.answers += 1
        found.oldest = min(found.oldest or kept.recorded_at, kept.recorded_at)
        found.newest = max(found.newest or kept.recorded_at, kept.recorded_at)
        found.tokens.update(_usage_of(kept))
    return found


def verify(directory: Path) -> tuple[int, list[tuple[Path, str]]]:
    """Return how many recordings are in order, and which files are damaged and why."""
    in_order, damaged = 0, []
    for path, kept, reason in _read_all(directory):
        if kept is None:
            damaged.append((path, reason))
        else:
            in_order += 1
    return in_order, damaged


def mark(directory: Path) -> None:
    """Let `unused` count from now on. Raises `OutputError`."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / MARK).write_bytes(b"")
    except OSError as error:
        raise OutputError(f"{directory / MARK}: {error.strerror}") from error


def unused(directory: Path) -> list[Path]:
    """Return the recordings that nothing has used or made since the mark.

    Raises `UsageError` where there is no mark.
    """
    try:
        since = (directory / MARK).stat().st_mtime_ns
    except FileNotFoundError:
        raise UsageError(
            f"--unused: there is no mark in {directory}",
            hint="set one with `writer cache mark` before the commands that use what is to stay",
        ) from None
    return [path for path in recording.files(directory) if path.stat().st_mtime_ns < since]


def older_than(directory: Path, age: timedelta) -> list[Path]:
    """Return the recordings that were made longer ago."""
    limit = datetime.now(UTC) - age
    return [
        path
        for path, kept, _ in _read_all(directory)
        if kept is not None and _time_of(kept) < limit
    ]


def remove(directory: Path, paths: list[Path], *, with_mark: bool) -> None:
    """Delete recordings, the temporary files of killed processes, and `with_mark` the mark too.

    Raises `OutputError` for a file that cannot be deleted.
    """
    abandoned_before = datetime.now(UTC).timestamp() - ABANDONED
    left_behind = [
        path
        for path in directory.glob("[0-9a-f][0-9a-f]/.*.json.*")
        if path.stat().st_mtime < abandoned_before
    ]
    served = [directory / MARK] if with_mark else []
    for path in (*paths, *left_behind, *served):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}") from error


def _read_all(directory: Path) -> Iterator[tuple[Path, Recording | None, str]]:
    """Yield each file with the recording in it, or with the reason why there is none."""
    for path in recording.files(directory):
        try:
            kept = recording.read(path)
        except DamagedError as error:
            yield path, None, str(error)
        else:
            if kept is not None:  # or somebody else has deleted it
                yield path, kept, ""


def _time_of(kept: Recording) -> datetime:
    time = datetime.fromisoformat(kept.recorded_at)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _usage_of(kept: Recording) -> dict[str, int]:
    """Return the tokens that an answer says it used; a stream says it at its end."""
    answers = [kept.body] if kept.body is not None else map(_parsed, kept.events)
    usage: dict[str, int] = {}
    for answer in answers:
        told = answer.get("usage") if isinstance(answer, dict) else None
        if isinstance(told, dict):
            usage = {name: count for name, count in told.items() if _is_count(name, count)}
    return usage


def _is_count(name: str, value: Any) -> bool:
    return name.endswith("_tokens") and isinstance(value, int)


def _parsed(data: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
