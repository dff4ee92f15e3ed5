"""One run of a batch from file to file: it sends the records that have no result yet."""

import math
import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

from writer_cli.batch.journal import Journal
from writer_cli.batch.ordered import OrderedOutput
from writer_cli.batch.plan import Plan
from writer_cli.batch.records import Format, Reader, Record, Template
from writer_cli.batch.results import Result
from writer_cli.batch.runner import BatchRun, run_batch
from writer_cli.batch.shards import Shard
from writer_cli.batch.summary import Summary
from writer_cli.client import Writer
from writer_cli.errors import OutputError, ReaderGoneError
from writer_cli.exits import FIRST_SIGNAL_CODE
from writer_cli.posix_only import STOP_SIGNALS

POLL_INTERVAL = 0.1
"""Seconds between two checks for signals, and between two updates of the progress."""

GRACE_PERIOD = 10.0
"""Seconds that a stopping batch waits for the requests in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """The input of a batch, and which of its records this run sends.

    Attributes:
        open: Opens the input from its beginning.
        can_reopen: Whether it can be read twice; a pipe cannot.
        format: The file format.
        template: The template of the prompts, if there is one.
        shard: The part of the records that this run sends.
        limit: How many records to read at most; None is no limit.
    """

    open: Callable[[], AbstractContextManager[BinaryIO]]
    can_reopen: bool
    format: Format
    template: Template | None
    shard: Shard
    limit: int | None

    def reader(self, stream: BinaryIO) -> Reader:
        """Return a reader of all records."""
        return Reader(stream, self.format, self.template)

    def selected(self, reader: Reader) -> Iterator[Record]:
        """Yield the records that this run sends."""
        return self.shard.of(reader, self.limit)


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a batch.

    Attributes:
        answered: Records with an answer, including those of earlier runs.
        failed: Records with an error, including those of earlier runs.
        done: Records that this run has finished.
        left: Records without a result; an estimate in a first run, None if unknown.
        batch: The running batch.
    """

    answered: int
    failed: int
    done: int
    left: float | None
    batch: BatchRun

    @property
    def part_done(self) -> float | None:
        """The fraction of all records that have a result, 0 to 1; None if unknown."""
        if self.left is None:
            return None
        done = self.answered + self.failed
        return done / (done + self.left) if done else 0.0


class Job:
    """One run of a batch; `summary` counts its results.

    Args:
        plan: The model, the defaults and the limits.
        source: The input.
        journal: The results; only a `Journal` has those of an earlier run.
        identity: The settings that all requests share, as a string; part of each digest.
        include_prompt: Whether a result contains the prompt.
        make_writer: Creates a client; each thread has its own.
    """

    def __init__(
        self,
        plan: Plan,
        source: Input,
        journal: Journal | OrderedOutput,
        *,
        identity: str,
        include_prompt: bool,
        make_writer: Callable[[], Writer],
    ) -> None:
        self.summary = Summary()
        self.stopped_by: int | None = None
        self._plan = plan
        self._source = source
        self._journal = journal
        self._identity = identity
        self._include_prompt = include_prompt
        self._make_writer = make_writer
        self._unwritten: list[bytes] = []
        self._writing = threading.Lock()
        """Protects the summary and the journal, which all threads change."""
        self._has_ended = False
        self._to_do: int | None = None
        """Records without a result at the beginning of this run; None until they are counted."""
        self._taken = self._last_index = 0
        """How many records were taken to be sent, and the index of the last one."""
        self._write_error: OutputError | ReaderGoneError | None = None

    def run(self, show: Callable[[Progress], None]) -> None:
        """Send the records that have no result, then sort the results.

        While requests are sent, the first Ctrl-C, SIGTERM or SIGHUP stops the batch, which keeps
        all answers that arrive within the grace period; `stopped_by` is then its number. The
        second signal ends the process at once. Before and after that, the first one does.

        Raises:
            UsageError: The results in the journal belong to other requests; nothing was sent.
            OutputError: A result could not be written; the hint says where it was saved.
            ReaderGoneError: The reader of the results has closed them.
            WriterError: An error that concerns all records, such as a refused key.
        """
        if self._has_pending():
            with _Signals() as signals:
                self._work(show, signals)
            self.stopped_by = signals.number
        if self.stopped_by is None:
            self._journal.put_in_order()

    def _has_pending(self) -> bool:
        """Check the whole input against the results of an earlier run, before anything is sent."""
        if not self._source.can_reopen or self._journal.answered + self._journal.failed == 0:
            return True
        with self._source.open() as stream:
            records = self._source.selected(self._source.reader(stream))
            self._to_do = sum(1 for _ in self._journal.pending(records, self._identity))
        return self._to_do > 0

    def _work(self, show: Callable[[Progress], None], signals: "_Signals") -> None:
        source = self._source
        gives_up_at = math.inf
        with source.open() as opened:
            stream = opened if source.can_reopen else _reopened(opened)
            reader, size = source.reader(stream), _size(stream)
            with run_batch(
                self._pending(source.selected(reader)),
                self._plan,
                make_writer=self._make_writer,
                on_result=self._keep,
            ) as batch:
                try:
                    while not batch.wait(POLL_INTERVAL) and time.monotonic() < gives_up_at:
                        is_to_stop = self._write_error or signals.number is not None
                        if is_to_stop and gives_up_at == math.inf:
                            batch.stop()
                            is_read = not isinstance(self._write_error, ReaderGoneError)
                            gives_up_at = time.monotonic() + is_read * GRACE_PERIOD
                        part_read = reader.bytes_read / size if size else 0.0
                        if not batch.is_over:  # pragma: no branch - it may have ended just now
                            self.summary.see_bound(batch.bound)
                        show(self._progress(batch, part_read))
                finally:
                    with self._writing:
                        self._has_ended = True
        # A request that failed for all records has no result, but it was sent.
        self.summary.attempts = batch.requests
        if self._write_error is not None:
            if isinstance(self._write_error, OutputError):
                self._write_error.hint = self._journal.rescue(self._unwritten)
            raise self._write_error
        batch.raise_failure()

    def _pending(self, records: Iterator[Record]) -> Iterator[Record]:
        for record in self._journal.pending(records, self._identity):
            self._taken += 1
            self._last_index = record.index
            yield record

    def _progress(self, batch: BatchRun, part_read: float) -> Progress:
        """Return the progress; `part_read` is the fraction of the input that was read, 0 to 1."""
        done, left = self.summary.answered + self.summary.failed, None
        if self._source.limit:
            part_read = max(part_read, (self._last_index + 1) / self._source.limit)
        if self._to_do is not None:
            left = float(self._to_do - done)
        elif part_read and self._taken:
            left = self._taken / min(part_read, 1.0) - done
        journal = self._journal
        return Progress(journal.answered, journal.failed, done, left, batch)

    def _keep(self, result: Result) -> None:
        """Write a result. Raises `OutputError` if that fails, and keeps the line in memory."""
        digest = result.record.digest(self._identity)
        line = result.as_line(digest, include_prompt=self._include_prompt)
        with self._writing:
            if self._has_ended:  # the answer came after the grace period
                return
            self.summary.add(result)
            try:
                self._journal.append(result.index, line, digest, failed=result.error is not None)
            except (OutputError, ReaderGoneError) as error:
                self._unwritten.append(line)
                self._write_error = error
                raise


class _Signals:
    """Handles Ctrl-C, SIGTERM and SIGHUP: stores the first, ends the process at the second."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._old: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                    self._old[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: object) -> None:
        if self.number is not None:
            raise SystemExit(FIRST_SIGNAL_CODE + number)
        self.number = number


def _reopened(stream: BinaryIO) -> BinaryIO:
    """Return another file object for the same input, if it has a descriptor.

    Python aborts at exit if a thread still reads from `sys.stdin` itself.
    """
    try:
        return open(stream.fileno(), "rb", closefd=False)
    except (OSError, ValueError):
        return stream


def _size(stream: BinaryIO) -> int | None:
    """Return the size of an input in bytes, or None if it is not a regular file."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
