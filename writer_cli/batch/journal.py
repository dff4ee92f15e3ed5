"""The results on disk: appended as they arrive, and sorted at the end.

While a batch runs, the output file is a journal: each result is appended as one line when it
arrives. A run that was stopped, even by a crash, continues from the journal. At the end, an atomic
replacement sorts the lines by the index of their record. If an index has several lines, the last
one counts.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import stat
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from writer_cli import atomic, posix_only
from writer_cli.batch.records import Record
from writer_cli.errors import OutputError, UsageError

RESULT_LINE = re.compile(
    rb'\{"index": (?P<index>[0-9]{1,12}), .*"digest": "(?P<digest>[0-9a-f]{16})"\}\n', re.DOTALL
)
ERROR_MARK = b'"error": {"kind": "'
"""Only a line with an error contains this: inside a JSON string, quotation marks are escaped."""

NO_RESULT, ANSWERED, FAILED, RETRY = 0, 1, 2, 3
"""The states of an index; `RETRY` is an error that the user wants to send again."""


class Journal:
    """The results of a batch, on disk; one process at a time has it open.

    Args:
        path: The file; created if it does not exist. An incomplete last line is removed.
        overwrite: Delete the results in it.

    `is_locked` is false where the system has no locks: then nothing stops a second process.

    Raises:
        UsageError: The file is in use, cannot be written, or has lines that are not results.
        OutputError: The disk fails.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = Path(os.path.realpath(path))
        self._descriptor, self.is_locked = _opened(self.path)
        self._states = bytearray()
        self._digests = array("Q")
        self.answered = 0
        self.failed = 0
        self._is_incomplete = False
        """Whether the file may end with a part of a line."""
        try:
            if overwrite:
                os.ftruncate(self._descriptor, 0)
            self._size = self._read()
        except BaseException as error:
            os.close(self._descriptor)
            if isinstance(error, OSError):
                raise OutputError(f"{self.path}: {error.strerror}") from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def pending(self, records: Iterable[Record], defaults: str) -> Iterator[Record]:
        """Yield the records that have no result yet.

        Raises `UsageError` if a result belongs to a different request or to no record: then the
        input or the flags have changed, and the file would mix answers to different requests.
        """
        unseen = len(self._states) - self._states.count(NO_RESULT)
        for record in records:
            index = record.index
            state = self._states[index] if index < len(self._states) else NO_RESULT
            unseen -= state != NO_RESULT
            if state in {NO_RESULT, RETRY}:
                yield record
            elif self._digests[index] != record.digest(defaults):
                raise UsageError(
                    f"{self.path} has the result of another request for record {index} "
                    f"(line {record.line}): the input, the template, the model or a flag changed",
                    hint="run it as it was before, choose another file, or delete the old results "
                    "with --overwrite",
                )
        if unseen > 0:
            raise UsageError(
                f"{self.path} has {unseen} results for records that the input does not have",
                hint="if --limit is smaller than before, leave it out; or choose another file, "
                "or start again with --overwrite",
            )

    def forget_failures(self) -> None:
        """Mark all failed records as pending again."""
        self._states = self._states.replace(bytes([FAILED]), bytes([RETRY]))
        self.failed = 0

    def append(self, index: int, line: bytes, digest: int, *, failed: bool) -> None:
        """Write one line completely.

        Raises `OutputError` if that fails; then the file ends with the previous line, or was
        removed by somebody. If even the incomplete line cannot be removed, it stays the last one.
        """
        try:
            if os.fstat(self._descriptor).st_nlink == 0:
                raise OutputError(f"{self.path} was removed during the run")
            self._cut_incomplete_line()
            view = memoryview(line)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            self._is_incomplete = True
            with contextlib.suppress(OSError):  # it is tried again before the next line
                self._cut_incomplete_line()
            raise OutputError(f"{self.path}: {error.strerror}") from error
        self._size += len(line)
        self._note(index, digest, FAILED if failed else ANSWERED)

    def put_in_order(self) -> None:
        """Replace the file by one with its lines in the order of their indexes, if it is not so.

        Raises `OutputError`; the journal is whole then, as before.
        """
        try:
            self._sort()
        except (OSError, UsageError, OutputError) as error:
            raise OutputError(
                f"{self.path}: {error.strerror}" if isinstance(error, OSError) else error.message,
                hint="all results are there, but unsorted: free disk space, and run it again",
            ) from error

    def _sort(self) -> None:
        offsets = array("q", [-1]) * len(self._states)
        with self._reading() as file:
            offset, previous, is_ordered = 0, -1, True
            for line in file:
                index = _index_of(line)
                is_ordered = is_ordered and index > previous
                previous, offsets[index] = index, offset
                offset += len(line)
            if is_ordered:
                return
            with atomic.replacement(self.path) as ordered:
                for offset in offsets:
                    if offset >= 0:
                        file.seek(offset)
                        ordered.write(file.readline())
                # Lock the new file before it replaces the old one: no other run may open it.
                if self.is_locked:
                    posix_only.lock(ordered.fileno())
                descriptor = os.dup(ordered.fileno())
        os.close(self._descriptor)
        self._descriptor = descriptor

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the file in their order."""
        with self._reading() as file:
            yield from file

    def rescue(self, unwritten: Sequence[bytes]) -> str:
        """Save lines that could not be written in a temporary file, and say how to continue.

        If the journal was removed, its lines are saved there too.
        """
        is_gone = os.fstat(self._descriptor).st_nlink == 0
        try:
            with tempfile.NamedTemporaryFile(
                prefix="writer-batch-", suffix=".jsonl", delete=False
            ) as kept:
                if is_gone:
                    with self._reading() as file:
                        shutil.copyfileobj(file, kept)
                kept.writelines(unwritten)
        except OSError as error:
            lost = len(unwritten) + is_gone * (self.answered + self.failed)
            return (
                f"{tempfile.gettempdir()}: {error.strerror} there too, and {lost} results are "
                "lost: free disk space, and run the command again"
            )
        name, path = shlex.quote(kept.name), shlex.quote(str(self.path))
        if is_gone:
            return f"all results are safe: mv {name} {path}, and run the command again"
        cut = f"truncate -s {self._size} {path} && " if self._is_incomplete else ""
        return f"free disk space, then: {cut}cat {name} >> {path}, and run the command again"

    def _cut_incomplete_line(self) -> None:
        if self._is_incomplete:
            os.ftruncate(self._descriptor, self._size)
            self._is_incomplete = False

    def _reading(self) -> BinaryIO:
        file = open(os.dup(self._descriptor), "rb")  # noqa: PTH123, SIM115 - a descriptor
        file.seek(0)
        return file

    def _read(self) -> int:
        """Read every line, remove an incomplete last one, and return the size in bytes."""
        size = 0
        with self._reading() as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                match = RESULT_LINE.fullmatch(line)
                if match is None:
                    raise UsageError(
                        f"--output {self.path}: line {number} is not a result of a batch",
                        hint="choose another file, or start again with --overwrite",
                    )
                state = FAILED if ERROR_MARK in line else ANSWERED
                self._note(int(match["index"]), int(match["digest"], 16), state)
                size += len(line)
        if size < os.fstat(self._descriptor).st_size:
            os.ftruncate(self._descriptor, size)
        return size

    def _note(self, index: int, digest: int, state: int) -> None:
        missing = index + 1 - len(self._states)
        if missing > 0:
            self._states.extend(bytes(missing))
            self._digests.extend(array("Q", bytes(8 * missing)))
        old = self._states[index]
        self.answered += (state == ANSWERED) - (old == ANSWERED)
        self.failed += (state == FAILED) - (old == FAILED)
        self._states[index], self._digests[index] = state, digest


def _index_of(line: bytes) -> int:
    return int(line[len(b'{"index": ') : line.index(b",")])


def _opened(path: Path) -> tuple[int, bool]:
    """Open and lock a file, again if it was replaced meanwhile; return its descriptor and lock."""
    while True:
        try:
            descriptor = os.open(path, posix_only.RESULT_FILE_FLAGS, 0o666)
        except OSError as error:
            raise UsageError(
                f"--output {path}: {error.strerror}",
                hint="choose a file in a directory that exists and that you may write to",
            ) from error
        try:
            is_locked = _is_locked(descriptor, path)
            if os.fstat(descriptor).st_nlink:
                return descriptor, is_locked
        except UsageError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # replaced or removed meanwhile: open the new file


def _is_locked(descriptor: int, path: Path) -> bool:
    """Lock a file, and return whether this system can do that. Raises `UsageError`."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise UsageError(
            f"--output {path}: not a regular file, and only such a file can be continued",
            hint="-o answers.jsonl",
        )
    try:
        posix_only.lock(descriptor)
    except posix_only.NoLocksError:
        return False
    except OSError as error:
        in_use = isinstance(error, BlockingIOError)
        raise UsageError(
            f"--output {path}: {'another run is writing to it' if in_use else error.strerror}",
            hint="wait for it, or choose another file",
        ) from error
    return True


def record_of(line: bytes) -> dict[str, object]:
    """Parse a line of a journal."""
    parsed: dict[str, object] = json.loads(line)
    return parsed
