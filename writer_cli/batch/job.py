"""A batch from a file to a file: what is left of the input goes through the engine to the disk."""

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

LOOK_INTERVAL = 0.1
"""Seconds between two looks at signals and progress."""

GRACE = 10.0
"""Seconds that requests under way have once the batch is to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Where the records of a batch come from, and which of them this run is about.

    Attributes:
        open: Opens the input at its beginning.
        can_reopen: Whether it can be read twice, as a pipe cannot.
        format: How it is written.
        template: What makes a prompt of a record, if anything does.
        shard: Which part of the records this run is about.
        limit: How many records to read at the most.
    """

    open: Callable[[], AbstractContextManager[BinaryIO]]
    can_reopen: bool
    format: Format
    template: Template | None
    shard: Shard
    limit: int | None

    def reader(self, stream: BinaryIO) -> Reader:
        """Return the records of an input."""
        return Reader(stream, self.format, self.template)

    def selected(self, reader: Reader) -> Iterator[Record]:
        """Yield the records that this run is about."""
        return self.shard.of(reader, self.limit)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a batch stands.

    Attributes:
        answered: Records with an answer, those of earlier runs among them.
        failed: Records with an error, likewise.
        done: Records that this run has done.
        left: Records without a result; an estimate in a first run. None if nobody can know.
        batch: The engine of this run.
    """

    answered: int
    failed: int
    done: int
    left: float | None
    batch: BatchRun

    @property
    def part_done(self) -> float | None:
        """What part of all records has a result, 0 to 1, if that is known."""
        if self.left is None:
            return None
        done = self.answered + self.failed
        return done / (done + self.left) if done else 0.0


class Job:
    """One run of a batch. `summary` is what it has done so far.

    Args:
        plan: What to ask, and how fast.
        source: Where the records come from.
        journal: Where results go; only a `Journal` has those of an earlier run.
        identity: What all requests have in common, as text: a result belongs to it and a record.
        include_prompt: Whether a result has the prompt too.
        make_writer: Returns a client; each thread has its own.
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
        """Guards what the threads of the batch change: the summary and the journal."""
        self._has_ended = False
        self._to_do: int | None = None
        """Records without a result at the beginning of this run, once they have been counted."""
        self._taken = self._last_index = 0
        """Records that were taken to be sent, and the index of the last one."""
        self._trouble: OutputError | ReaderGoneError | None = None

    def run(self, show: Callable[[Progress], None]) -> None:
        """Do what is left, and put the results in order if nothing is left then.

        While requests are sent, the first Ctrl-C or SIGTERM stops it in good order and is
        `stopped_by` afterwards; the second ends the process at once. Before and after that the
        first does: nothing can be lost then.

        Raises:
            UsageError: The results in the journal belong to other requests; nothing was sent.
            OutputError: A result could not be written; the hint says where it is.
            ReaderGoneError: Nobody reads the results any more.
            WriterError: What concerned all records and stopped them.
        """
        if self._is_anything_left():
            with _Signals() as signals:
                self._work(show, signals)
            self.stopped_by = signals.number
        if self.stopped_by is None:
            self._journal.put_in_order()

    def _is_anything_left(self) -> bool:
        """Compare the whole input with what an earlier run wrote, before anything is sent."""
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
            stream = opened if source.can_reopen else _apart(opened)
            reader, size = source.reader(stream), _size(stream)
            with run_batch(
                self._pending(source.selected(reader)),
                self._plan,
                make_writer=self._make_writer,
                on_result=self._keep,
            ) as batch:
                try:
                    while not batch.wait(LOOK_INTERVAL) and time.monotonic() < gives_up_at:
                        is_to_stop = self._trouble or signals.number is not None
                        if is_to_stop and gives_up_at == math.inf:
                            batch.stop()
                            is_read = not isinstance(self._trouble, ReaderGoneError)
                            gives_up_at = time.monotonic() + is_read * GRACE
                        part_read = reader.bytes_read / size if size else 0.0
                        show(self._progress(batch, part_read))
                finally:
                    with self._writing:
                        self._has_ended = True
        # What concerned all records has no result, and was sent all the same.
        self.summary.attempts = batch.requests
        if self._trouble is not None:
            if isinstance(self._trouble, OutputError):
                self._trouble.hint = self._journal.rescue(self._unwritten)
            raise self._trouble
        batch.raise_failure()

    def _pending(self, records: Iterator[Record]) -> Iterator[Record]:
        for record in self._journal.pending(records, self._identity):
            self._taken += 1
            self._last_index = record.index
            yield record

    def _progress(self, batch: BatchRun, part_read: float) -> Progress:
        """Return where the batch stands once a part of the input, 0 to 1, has been read."""
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
        """Write a result. Raises `OutputError` where that fails; the line stays in memory then."""
        digest = result.record.digest(self._identity)
        line = result.as_line(digest, include_prompt=self._include_prompt)
        with self._writing:
            if self._has_ended:  # an answer that was no longer waited for
                return
            self.summary.add(result)
            try:
                self._journal.append(result.index, line, digest, failed=result.error is not None)
            except (OutputError, ReaderGoneError) as error:
                self._unwritten.append(line)
                self._trouble = error
                raise


class _Signals:
    """Ctrl-C and SIGTERM: the first is taken note of, the second ends the process."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._old: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
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


def _apart(stream: BinaryIO) -> BinaryIO:
    """Return another reader of the same input, if it is a real one.

    Python aborts at its end if a thread still waits for data in its own `sys.stdin`.
    """
    try:
        return open(stream.fileno(), "rb", closefd=False)
    except (OSError, ValueError):
        return stream


def _size(stream: BinaryIO) -> int | None:
    """Return how many bytes an input has, if that can be known."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
