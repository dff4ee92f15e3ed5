"""The engine: threads that take records, have them sent, and hand back results."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Self

from writer_cli.batch.limits import Pace, StoppedError
from writer_cli.batch.records import Record
from writer_cli.batch.results import Result
from writer_cli.batch.worker import Worker
from writer_cli.client import Writer
from writer_cli.errors import PartialError, UsageError

DEFAULT_CONCURRENCY = 8

SHORTEST_LOOK = 0.005
LONGEST_LOOK = 0.1
"""Seconds after which it is looked whether the threads of a batch keep a processor busy."""

BUSY = 0.5
"""What part of a processor they use then."""

RESULTS_PER_THREAD = 4
"""Results that wait to be taken before a thread sends no more."""


def run_batch(
    records: Iterable[Record],
    *,
    make_writer: Callable[[], Writer],
    model_id: str,
    customization_id: str | None = None,
    defaults: dict[str, Any] | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
    rpm: float | None = None,
    tpm: float | None = None,
    max_requests: int | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> "BatchRun":
    """Complete many prompts and return an iterator over one result for each, as they arrive.

    Args:
        records: What to complete; taken one by one, from whichever thread is free.
        make_writer: Returns a client; each thread has its own, and closes it.
        model_id: The model to ask.
        customization_id: A customization of it.
        defaults: Fields of `CompletionRequest` for all records; a record's own go before them.
        concurrency: Threads at the most, and so requests at the same time.
        rpm: Requests a minute, at the most.
        tpm: Tokens a minute, at the most, estimated from the texts.
        max_requests: Requests at the most, retries included; then the batch stops.
        on_result: Called with each result, in the thread that got it; iteration yields none then.
            What it raises stops the batch.

    Raises:
        UsageError: A number that is out of range.

    A record that fails has a result with an `error`. What concerns all of them, a refused key or a
    quota that is used up, stops the batch: iteration raises it once the requests that were under
    way have been answered, and the records that are left have no result.
    """
    for name, value, is_right in (
        ("concurrency", concurrency, concurrency >= 1),
        ("rpm", rpm, rpm is None or rpm > 0),
        ("tpm", tpm, tpm is None or tpm > 0),
        ("max_requests", max_requests, max_requests is None or max_requests >= 0),
    ):
        if not is_right:
            raise UsageError(f"{name}: {value} is out of range", field=name)
    return BatchRun(
        records,
        make_writer=make_writer,
        model_id=model_id,
        customization_id=customization_id,
        defaults=defaults or {},
        concurrency=concurrency,
        rpm=rpm,
        tpm=tpm,
        max_requests=max_requests,
        on_result=on_result,
    )


class BatchRun:
    """A batch under way; see `run_batch`. Leaving its `with` block stops it."""

    def __init__(
        self,
        records: Iterable[Record],
        *,
        make_writer: Callable[[], Writer],
        model_id: str,
        customization_id: str | None,
        defaults: dict[str, Any],
        concurrency: int,
        rpm: float | None,
        tpm: float | None,
        max_requests: int | None,
        on_result: Callable[[Result], None] | None,
    ) -> None:
        self.model_id = model_id
        self.customization_id = customization_id
        self.defaults = defaults
        self.in_flight = 0
        self.requests = 0
        self._records = iter(records)
        self._make_writer = make_writer
        self._stop = threading.Event()
        self.pace = Pace(rpm=rpm, tpm=tpm, stop=self._stop)
        self._most_requests = max_requests
        self._on_result = on_result or self._queue_up
        self._taking = threading.Lock()
        lock = threading.RLock()
        """Guards what follows, and the two counters above."""
        self._changed = threading.Condition(lock)
        """Told when there is a result where there was none, or no more will come."""
        self._room = threading.Condition(lock)
        """Told when there is room for another result."""
        self._results: deque[Result] = deque()
        self._most_results = RESULTS_PER_THREAD * concurrency
        self._failure: BaseException | None = None
        self._is_input_over = threading.Event()
        self._threads = 1  # the one that starts the others
        self._busy = 0
        self._start("batch-start", self._start_workers, concurrency)

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
    def is_over(self) -> bool:
        """Whether no result will come any more."""
        with self._changed:
            return self._is_over()

    @property
    def is_holding(self) -> bool:
        """Whether the batch waits because the API refused a request for its rate."""
        return self.pace.is_holding

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
            self._stop.set()
            self._is_input_over.set()
            self._changed.notify_all()
            self._room.notify_all()

    def fail(self, error: BaseException) -> None:
        """Stop everything because of an error that concerns all records."""
        with self._changed:
            self._failure = self._failure or error
            self.stop()

    def raise_failure(self) -> None:
        """Raise what stopped the batch, if anything did."""
        if self._failure is not None:
            raise self._failure

    def before_request(self, tokens: float) -> float:
        """Wait for a request's turn, and count it. Raises `StoppedError`."""
        sent_at = self.pace.acquire(tokens)
        with self._changed:
            if self.requests == self._most_requests and not self._stop.is_set():
                self.fail(
                    PartialError(
                        f"the budget of {self.requests} requests is used up",
                        hint="what is left stays for the next run",
                    )
                )
            if self._stop.is_set():
                raise StoppedError
            self.requests += 1
            self.in_flight += 1
        return sent_at

    def after_request(self) -> None:
        """Count a request as answered."""
        with self._changed:
            self.in_flight -= 1

    def sleep(self, seconds: float) -> None:
        """Wait, unless the batch stops. Raises `StoppedError`."""
        if self._stop.wait(seconds):
            raise StoppedError

    def _is_over(self) -> bool:
        # Once the batch is to stop, a thread that waits for the input is not waited for.
        has_ended = self._threads == 0 or (self._stop.is_set() and self._busy == 0)
        return has_ended and not self._results

    def _start(self, name: str, work: Callable[..., None], *arguments: Any) -> None:
        """Run something in a thread of its own; what it raises stops the batch."""

        def run() -> None:
            try:
                work(*arguments)
            except StoppedError:
                pass
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
            worker = Worker(writer, self)
            while (record := self._take()) is not None:
                try:
                    result = worker.answer(record)
                    if result is not None:
                        self._on_result(result)
                finally:
                    with self._changed:
                        self._busy -= 1
                        if self._stop.is_set():
                            self._changed.notify_all()

    def _take(self) -> Record | None:
        """Return the next record once there is room for its result; None at the end."""
        if len(self._results) >= self._most_results:
            with self._room:
                self._room.wait_for(
                    lambda: len(self._results) < self._most_results or self._stop.is_set()
                )
        with self._taking:
            record = None if self._stop.is_set() else next(self._records, None)
        with self._changed:
            if record is None or self._stop.is_set():
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
