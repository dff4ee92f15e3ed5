"""The folder of recorded answers: find and record answers during a run."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

from writer_cli import atomic, recording
from writer_cli.errors import OutputError, UsageError
from writer_cli.recording import DamagedError, Question, Recording

MOST_COMPARED = 10_000
"""How many recordings are compared to find the nearest one to a request."""


class CacheEvent(NamedTuple):
    """What the cache did with one request.

    Attributes:
        kind: `hit`: the answer was there. `miss`: it is asked for. `damaged`: there is a file and
            it cannot be used. `not_kept`: an answer came and was not recorded.
        path: The file of the answer.
        reason: Why, for the last two.
    """

    kind: Literal["hit", "miss", "damaged", "not_kept"]
    path: Path
    reason: str = ""

    @property
    def is_warning(self) -> bool:
        """Whether the user should know of it."""
        return self.kind in {"damaged", "not_kept"}

    def __str__(self) -> str:
        if self.kind == "damaged":
            return f"the recording {self.path} is ignored: {self.reason}"
        if self.kind == "not_kept":
            return f"the answer is not recorded in {self.path}: {self.reason}"
        return f"cache {self.kind}: {self.path}"


class Cache:
    """A folder of recorded answers; several threads and processes may share it.

    Args:
        directory: The folder. It is made when the first answer is kept.
        refresh: Ask again, and replace what is recorded.
        offline: Send nothing: an answer that is not recorded is a `NotRecordedError`.
        salt: A text that is part of the request's key, to get another sample of the same request.
        on_event: Told of each hit and miss, and of what cannot be read or kept. Several threads
            may call it.

    Raises:
        UsageError: The directory is something else, or `refresh` and `offline` are both true.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        refresh: bool = False,
        offline: bool = False,
        salt: str | None = None,
        on_event: Callable[[CacheEvent], None] | None = None,
    ) -> None:
        self.directory = path_named(directory)
        self.offline = offline
        self.salt = salt
        if refresh and offline:
            raise UsageError(
                "refresh and offline exclude each other", hint="one asks again, one never asks"
            )
        if self.directory.exists() and not self.directory.is_dir():
            raise UsageError(f"cache: {self.directory} is not a folder", hint="name a folder")
        self._refresh = refresh
        self._on_event = on_event
        self._lock = threading.Lock()
        """Guards what follows."""
        self._turns: dict[Path, tuple[threading.Lock, int]] = {}
        self._refreshed: set[bytes] = set()
        self._told: set[str] = set()
        self._questions: list[tuple[Path, Question]] | None = None

    def __repr__(self) -> str:
        return f"Cache({str(self.directory)!r}, offline={self.offline})"

    @contextmanager
    def turn(self, question: Question) -> Iterator[None]:
        """Let one thread at a time look for an answer and ask for it.

        Whoever waits here finds the answer that the other thread has kept.
        """
        path = question.path_in(self.directory)
        with self._lock:
            lock, waiting = self._turns.get(path, (threading.Lock(), 0))
            self._turns[path] = lock, waiting + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, waiting = self._turns.pop(path)
                if waiting > 1:
                    self._turns[path] = lock, waiting - 1

    def find(self, question: Question) -> Recording | None:
        """Return the recorded answer, if there is one that may be used."""
        path = question.path_in(self.directory)
        if self._refresh and _digest(path) not in self._refreshed:
            return None
        try:
            return recording.read(path)
        except DamagedError as error:
            self.tell(CacheEvent("damaged", path, str(error)))
            return None

    def note_use(self, question: Question) -> None:
        """Note that a recording was used, and tell of it."""
        path = question.path_in(self.directory)
        recording.note_use(path)
        self.tell(CacheEvent("hit", path))

    def keep(self, new: Recording) -> None:
        """Write a recording. A folder that cannot be written to is told of once."""
        path = new.question.path_in(self.directory)
        try:
            if self._is_known(new, path):
                os.utime(path)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                with atomic.replacement(path) as file:
                    file.write(new.to_bytes())
        except OSError as error:
            self.tell(CacheEvent("not_kept", path, error.strerror or str(error)))
        except (OutputError, UsageError) as error:
            reason = error.message.rpartition(": ")[2]
            self.tell(CacheEvent("not_kept", path, reason))
        else:
            if self._refresh:
                with self._lock:
                    self._refreshed.add(_digest(path))

    def questions(self) -> list[tuple[Path, Question]]:
        """Return the questions that were recorded before this was first called."""
        with self._lock:
            if self._questions is None:
                self._questions = []
                for path in islice(recording.files(self.directory), MOST_COMPARED):
                    with suppress(DamagedError):
                        if (one := recording.read(path)) is not None:
                            self._questions.append((path, one.question))
            return self._questions

    def tell(self, event: CacheEvent) -> None:
        """Pass on an event; the same reason for not keeping answers only once."""
        if event.kind == "not_kept":
            with self._lock:
                if event.reason in self._told:
                    return
                self._told.add(event.reason)
        if self._on_event is not None:
            self._on_event(event)

    @staticmethod
    def _is_known(new: Recording, path: Path) -> bool:
        """Whether the same answer is recorded: its file stays, and git sees no difference."""
        try:
            old = recording.read(path)
        except DamagedError:
            return False
        return old is not None and old.same_answer(new)


def path_named(directory: str | os.PathLike[str]) -> Path:
    """Return the path of a folder; `~` is a home. Raises `UsageError` if nothing can be there."""
    try:
        path = Path(directory).expanduser()
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cache: {directory}: {reason}", hint="name a folder") from error
    return path


def _digest(path: Path) -> bytes:
    return bytes.fromhex(path.stem)
