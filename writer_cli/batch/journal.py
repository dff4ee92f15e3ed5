"""Results on disk: each line whole as soon as it is there, in the order of the input at the end.

While a batch runs, the output file is a journal: results stand in it in the order in which they
came. A run that was stopped, in whatever way, goes on from it. At the end an atomic replacement
puts the lines in order. The last line for an index counts.
"""

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
"""What only a line with an error has: within a JSON text every quotation mark is escaped."""

NONE, ANSWERED, FAILED, AGAIN = 0, 1, 2, 3
"""What is known of an index: no result, an answer, an error, an error that does not count."""


class Journal:
    """The results of a batch, on disk; one process at a time has it open.

    Args:
        path: The file; made if it is not there, healed if its last line was torn.
        overwrite: Throw away what it holds.

    `is_locked` is false where the system has no locks: then nothing stops a second process.

    Raises:
        UsageError: It is in use, cannot be written, or is a file of something else.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = Path(os.path.realpath(path))
        self._descriptor, self.is_locked = _opened(self.path)
        self._states = bytearray()
        self._digests = array("Q")
        self.answered = 0
        self.failed = 0
        try:
            if overwrite:
                os.ftruncate(self._descriptor, 0)
            self._size = self._read()
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def pending(self, records: Iterable[Record], defaults: str) -> Iterator[Record]:
        """Yield the records that have no result yet.

        Raises `UsageError` where a result belongs to another request than the record's, or to no
        record at all: input or flags have changed, and answers of both would be mixed.
        """
        unseen = len(self._states) - self._states.count(NONE)
        for record in records:
            index = record.index
            state = self._states[index] if index < len(self._states) else NONE
            unseen -= state != NONE
            if state in {NONE, AGAIN}:
                yield record
            elif self._digests[index] != record.digest(defaults):
                raise UsageError(
                    f"record {index} (line {record.line}) is not what the result in {self.path} "
                    "was given for: the input or the flags have changed",
                    hint="name another file, or start anew with --overwrite",
                )
        if unseen > 0:
            raise UsageError(
                f"{self.path} has {unseen} results for records that the input does not have",
                hint="name another file, or start anew with --overwrite",
            )

    def forget_failures(self) -> None:
        """Let what failed count as not yet done."""
        self._states = self._states.replace(bytes([FAILED]), bytes([AGAIN]))
        self.failed = 0

    def append(self, index: int, line: bytes, digest: int, *, failed: bool) -> None:
        """Write a line, whole and at once.

        Raises `OutputError`; then the file ends with the last whole line, or is gone.
        """
        try:
            if os.fstat(self._descriptor).st_nlink == 0:
                raise OutputError(f"{self.path} was removed while it was written to")
            view = memoryview(line)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            os.ftruncate(self._descriptor, self._size)
            raise OutputError(f"{self.path}: {error.strerror}") from error
        self._size += len(line)
        self._note(index, digest, FAILED if failed else ANSWERED)

    def put_in_order(self) -> None:
        """Replace the file by one with its lines in the order of their indexes, if it is not so.

        Raises `OutputError`; the journal is whole then, as before.
        """
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
            try:
                with atomic.replacement(self.path) as ordered:
                    for offset in offsets:
                        if offset >= 0:
                            file.seek(offset)
                            ordered.write(file.readline())
                    # Whoever opens the file from here on must find it in use.
                    if self.is_locked:
                        posix_only.lock(ordered.fileno())
                    descriptor = os.dup(ordered.fileno())
            except (UsageError, OutputError) as error:
                raise OutputError(
                    error.message,
                    hint="every result is there, but not in order: make room, and run it again",
                ) from error
        os.close(self._descriptor)
        self._descriptor = descriptor

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the file as they stand in it."""
        with self._reading() as file:
            yield from file

    def rescue(self, unwritten: Sequence[bytes]) -> str:
        """Keep lines that could not be written in a temporary file, and say how to go on.

        If the journal has lost its name, what it holds is kept along with them.
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
                "lost: make room, and run the command again"
            )
        name, path = shlex.quote(kept.name), shlex.quote(str(self.path))
        if is_gone:
            return f"all results are safe: mv {name} {path}, and run the command again"
        return f"make room, then: cat {name} >> {path}, and run the command again"

    def _reading(self) -> BinaryIO:
        file = open(os.dup(self._descriptor), "rb")  # noqa: PTH123, SIM115 - a descriptor
        file.seek(0)
        return file

    def _read(self) -> int:
        """Take note of every line, cut a torn one off, and return the size."""
        size = 0
        with self._reading() as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                match = RESULT_LINE.fullmatch(line)
                if match is None:
                    raise UsageError(
                        f"--output {self.path}: line {number} is not a result of a batch",
                        hint="name another file, or start anew with --overwrite",
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
    """Open and lock a file that has its name still; return its descriptor and if it is locked."""
    while True:
        try:
            descriptor = os.open(path, posix_only.RESULT_FILE_FLAGS, 0o666)
        except OSError as error:
            raise UsageError(
                f"--output {path}: {error.strerror}",
                hint="choose a file in a directory with write permission",
            ) from error
        try:
            is_locked = _is_locked(descriptor, path)
            if os.fstat(descriptor).st_nlink:
                return descriptor, is_locked
        except UsageError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # replaced or removed in between: open what is there now


def _is_locked(descriptor: int, path: Path) -> bool:
    """Lock a file, and return whether this system can do that. Raises `UsageError`."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise UsageError(
            f"--output {path}: not a file, and only a file can be gone on with",
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
            hint="wait for it, or name another file",
        ) from error
    return True


def record_of(line: bytes) -> dict[str, object]:
    """Return a line of a journal as an object."""
    parsed: dict[str, object] = json.loads(line)
    return parsed
