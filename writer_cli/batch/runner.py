"""The engine: threads that take records, have them sent, and hand back results."""

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
from writer_cli.batch.worker import Worker
from writer_cli.client import Writer

SHORTEST_LOOK = 0.005
LONGEST_LOOK = 0.1
"""Seconds after which it is looked whether the threads of a batch keep a processor busy."""

BUSY = 0.5
"""What part of a processor they use then."""

RESULTS_PER_THREAD = 4
"""Results that wait to be taken before a thread sends no more."""


class BatchRun:
    """A batch under way; see `run_batch`. Leaving its `with` block stops it."""

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
        """Guards what follows."""
        self._changed = threading.Condition(lock)
        """Told when there is a result where there was none, or no more will come."""
        self._room = threading.Condition(lock)
        """Told when there is room for another result."""
        self._results: deque[Result] = deque()
        self._most_results = RESULTS_PER_THREAD * plan.concurrency
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
        """How many requests have no answer yet."""
        return self._traffic.in_flight

    @property
    def is_over(self) -> bool:
        """Whether no result will come any more."""
        with self._changed:
            return self._is_over()

    @property
    def is_holding(self) -> bool:
        """Whether the batch waits because the API refused a request for its rate."""
        return self._traffic.pace.is_holding

    def poll(self, timeout: float | None) -> Result | None:
        """Return the next result, or None if none comes, within so many seconds or at all."""
        with self._changed:
            self._changed.wait_for(lambda: self._results or self._is_over(), timeout)
            if not self._results:
                return None
            if len(self._results) == self._most_results:
                self._room.notify_all()
            return self._results.popleft()

    def wait(self, timeout: float) -> bool:
        """Wait so many seconds at the most, and return whether no result will come any more."""
        with self._changed:
            return self._changed.wait_for(self._is_over, timeout)

    def stop(self) -> None:
        """Send nothing more; what is under way is still answered."""
        with self._changed:
            self._traffic.stop()
            self._is_input_over.set()
            self._changed.notify_all()
            self._room.notify_all()

    def fail(self, error: BaseException) -> None:
        """Stop everything because of an error that concerns all records."""
        self._traffic.fail(error)
        self.stop()

    def raise_failure(self) -> None:
        """Raise what stopped the batch, if anything did."""
        if self._traffic.failure is not None:
            raise self._traffic.failure

    def _is_over(self) -> bool:
        # Once the batch is to stop, a thread that waits for the input is not waited for.
        has_ended = self._threads == 0 or (self._traffic.is_stopped and self._busy == 0)
        return has_ended and not self._results

    def _start(self, name: str, work: Callable[..., None], *arguments: Any) -> None:
        """Run something in a thread of its own; what it raises stops the batch."""

        def run() -> None:
            try:
                work(*arguments)
            except StoppedError:
                self.stop()
            except BaseException as error:  # noqa: BLE001 - it is raised where results are taken
                self.fail(error)
            finally:
                with self._changed:
                    self._threads -= 1
                    self._changed.notify_all()

        threading.Thread(target=run, name=name, daemon=True).start()

    def _start_workers(self, concurrency: int) -> None:
        """Start one thread, and as many again whenever all of them wait for the server.

        Where they keep a processor busy, as they do if a server answers within a millisecond,
        another one would only take the interpreter from them.
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
            while (record := self._take()) is not None:
                try:
                    result = worker.answer(record)
                    if result is None:
                        self.stop()
                    else:
                        self._on_result(result)
                finally:
                    with self._changed:
                        self._busy -= 1
                        if self._traffic.is_stopped:
                            self._changed.notify_all()

    def _take(self) -> Record | None:
        """Return the next record once there is room for its result; None at the end."""
        if len(self._results) >= self._most_results:
            with self._room:
                self._room.wait_for(
                    lambda: len(self._results) < self._most_results or self._traffic.is_stopped
                )
        with self._taking:
            record = None if self._traffic.is_stopped else next(self._records, None)
        with self._changed:
            if record is None or self._traffic.is_stopped:
                self._is_input_over.set()
                return None
            self._busy += 1
            return record

    def _queue_up(self, result: Result) -> None:
        with self._changed:
            self._results.append(result)
            # Whoever takes results takes all there are before it waits.
            if len(self._results) == 1:
                self._changed.notify_all()


def run_batch(
    records: Iterable[Record],
    plan: Plan,
    *,
    make_writer: Callable[[], Writer],
    on_result: Callable[[Result], None] | None = None,
) -> BatchRun:
    """Complete many prompts and return an iterator over one result for each, as they arrive.

    Args:
        records: What to complete; taken one by one, from whichever thread is free.
        plan: What to ask, and how fast.
        make_writer: Returns a client; each thread has its own, and closes it.
        on_result: Called with each result, in the thread that got it; iteration yields none then.
            What it raises stops the batch.

    A record that fails has a result with an `error`. What concerns all of them, a refused key or a
    quota that is used up, stops the batch: iteration raises it once the requests that were under
    way have been answered, and the records that are left have no result.
    """
    return BatchRun(records, plan, make_writer=make_writer, on_result=on_result)
