"""Run a batch: threads take records, send them, and return results."""

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Self

from writer_cli.batch.limits import StoppedError
from writer_cli.batch.plan import Plan
from writer_cli.batch.records import Record
from writer_cli.batch.results import Result
from writer_cli.batch.traffic import Traffic
from writer_cli.batch.worker import Pending, Worker
from writer_cli.client import Writer

SHORTEST_LOOK = 0.005
LONGEST_LOOK = 0.1
"""Seconds between two checks whether the threads of a batch keep a processor busy."""

BUSY = 0.5
"""The fraction of a processor that counts as busy."""

RESULTS_PER_THREAD = 4
"""Unread results, per thread, at which the threads wait before they send more."""

WAITING_PER_THREAD = 16
"""Records that wait to be tried again before a thread takes no new one."""


class BatchRun:
    """A running batch, see `run_batch`. The end of its `with` block stops it."""

    def __init__(
        self,
        records: Iterable[Record],
        plan: Plan,
        *,
        make_writer: Callable[[], Writer],
        on_result: Callable[[Result], None] | None = None,
    ) -> None:
        self._plan = plan
        self._traffic = Traffic(plan)
        self._records = iter(records)
        self._make_writer = make_writer
        self._on_result = on_result or self._queue_up
        self._taking = threading.Lock()
        lock = threading.RLock()
        """Protects the attributes below."""
        self._changed = threading.Condition(lock)
        """Notified when the first result arrives, or when no more will come."""
        self._room = threading.Condition(lock)
        """Notified when there is room for another result."""
        self._results: deque[Result] = deque()
        self._most_results = RESULTS_PER_THREAD * plan.concurrency
        self._waiting: list[tuple[float, int, Pending]] = []
        """Records that are to be tried again, by when."""
        self._order = itertools.count()
        self._most_waiting = WAITING_PER_THREAD * plan.concurrency
        self._is_input_over = threading.Event()
        self._threads = 1  # the one that starts the others
        self._busy = 0
        self._start("batch-start", self._start_workers, plan.concurrency)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Result:
        result = self.poll(timeout=None)
        if result is None:
            self.raise_failure()
            raise StopIteration
        return result

    @property
    def requests(self) -> int:
        """How many requests have been sent, retries included."""
        return self._traffic.requests

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return self._traffic.in_flight

    @property
    def is_over(self) -> bool:
        """Whether no more results will come."""
        with self._changed:
            return self._is_over()

    @property
    def bound(self) -> str:
        """What bounds the speed at the moment, in words for a person.

        One of:

        - "32 in flight": the threads are all busy, or what is left keeps only so many busy;
        - "limited by the server to 598/min": the rate that the batch has learned from 429s;
        - "limited by --rpm", "limited by --tpm": the limit that the user states;
        - "3 waiting to be tried again": nothing else is left, and their time has not come;
        - "waiting 90 s, as the server asks": nobody sends anything until then;
        - "server overloaded, probing", "no connection, probing": everything fails, and a request
          now and then looks whether that has changed.
        """
        in_flight, waiting = self._traffic.in_flight, len(self._waiting)
        if bound := self._traffic.pace.bound():
            return bound
        if waiting and not in_flight:
            return f"{waiting} waiting to be tried again"
        return f"{in_flight} in flight"

    def poll(self, timeout: float | None) -> Result | None:
        """Return the next result; None after `timeout` seconds, or if no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._results or self._is_over(), timeout)
            if not self._results:
                return None
            if len(self._results) == self._most_results:
                self._room.notify_all()
            return self._results.popleft()

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the end; return whether no more results will come."""
        with self._changed:
            return self._changed.wait_for(self._is_over, timeout)

    def stop(self) -> None:
        """Send nothing more; requests in flight are still answered."""
        with self._changed:
            self._traffic.stop()
            self._is_input_over.set()
            self._changed.notify_all()
            self._room.notify_all()

    def fail(self, error: BaseException) -> None:
        """Stop because of an error that concerns all records."""
        self._traffic.fail(error)
        self.stop()

    def raise_failure(self) -> None:
        """Raise the error that stopped the batch, if there is one."""
        if self._traffic.failure is not None:
            raise self._traffic.failure

    def _is_over(self) -> bool:
        # When the batch stops, it does not wait for a thread that still reads the input.
        has_ended = self._threads == 0 or (self._traffic.is_stopped and self._busy == 0)
        return has_ended and not self._results

    def _start(self, name: str, work: Callable[..., None], *arguments: Any) -> None:
        """Run a function in its own thread; an exception from it stops the batch."""

        def run() -> None:
            try:
                work(*arguments)
            except StoppedError:
                self.stop()
            except BaseException as error:  # noqa: BLE001 - raised again where results are read
                self.fail(error)
            finally:
                with self._changed:
                    self._threads -= 1
                    self._changed.notify_all()

        threading.Thread(target=run, name=name, daemon=True).start()

    def _start_workers(self, concurrency: int) -> None:
        """Start one thread, and double their number whenever all of them wait for the server.

        If they keep a processor busy, because the server answers within a millisecond, more
        threads would only compete for the interpreter.
        """
        started = 0
        while started < concurrency:
            for number in range(started, min(max(1, 2 * started), concurrency)):
                with self._changed:
                    self._threads += 1
                self._start(f"batch-{number}", self._work)
                started += 1
            pause, is_busy = SHORTEST_LOOK, True
            while is_busy:
                before = time.process_time()
                if self._is_input_over.wait(pause):
                    return
                is_busy = time.process_time() - before >= pause * BUSY
                pause = min(2 * pause, LONGEST_LOOK)

    def _work(self) -> None:
        with self._make_writer() as writer:
            worker = Worker(writer, self._plan, self._traffic)
            while (pending := self._take()) is not None:
                try:
                    result = worker.attempt(pending)
                    if result is not None:
                        self._on_result(result)
                    else:
                        self._put_back(pending)
                finally:
                    with self._changed:
                        self._busy -= 1
                        if self._traffic.is_stopped:
                            self._changed.notify_all()

    def _take(self) -> Pending | None:
        """Return what to send next once there is room for its result; None at the end."""
        if len(self._results) >= self._most_results:
            with self._room:
                self._room.wait_for(
                    lambda: len(self._results) < self._most_results or self._traffic.is_stopped
                )
        while not self._traffic.is_stopped:
            with self._changed:
                until_due = self._waiting[0][0] - time.monotonic() if self._waiting else -1.0
                if self._waiting and until_due <= 0:
                    self._busy += 1
                    return heapq.heappop(self._waiting)[2]
                if self._is_input_over.is_set() and not self._waiting:
                    return None
                if self._is_input_over.is_set() or len(self._waiting) >= self._most_waiting:
                    self._changed.wait(until_due)
                    continue
            # Another thread may be waiting for the input for longer than until a record is due.
            longest = min(until_due, threading.TIMEOUT_MAX)
            if self._taking.acquire(timeout=longest):  # pragma: no branch - the threads decide
                try:
                    record = self._read()
                finally:
                    self._taking.release()
                with self._changed:
                    if record is not None:
                        self._busy += 1
                        return Pending(record)
                    self._is_input_over.set()
        return None

    def _read(self) -> Record | None:
        return None if self._traffic.is_stopped else next(self._records, None)

    def _put_back(self, pending: Pending) -> None:
        """Let a record wait until it is to be tried again."""
        with self._changed:
            heapq.heappush(self._waiting, (pending.due, next(self._order), pending))

    def _queue_up(self, result: Result) -> None:
        with self._changed:
            self._results.append(result)
            # A reader takes all results before it waits.
            if len(self._results) == 1:
                self._changed.notify_all()


def run_batch(
    records: Iterable[Record],
    plan: Plan,
    *,
    make_writer: Callable[[], Writer],
    on_result: Callable[[Result], None] | None = None,
) -> BatchRun:
    """Complete many prompts; return an iterator over their results in order of arrival.

    Args:
        records: The records; threads take them one by one.
        plan: The model, the defaults and the limits.
        make_writer: Creates a client; each thread has its own, and closes it.
        on_result: Called with each result in the thread that received it; then iteration yields
            nothing. An exception from it stops the batch.

    A record that fails has a result with an `error`. An error that concerns all records, such as a
    refused key or an exhausted quota, stops the batch: iteration raises it after the requests in
    flight have been answered. The remaining records have no result.
    """
    return BatchRun(records, plan, make_writer=make_writer, on_result=on_result)
