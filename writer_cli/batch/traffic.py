"""What the threads of a batch share while they send: the pace, the budget, and the end."""

import threading
import time

from writer_cli.batch.counting import Ticket
from writer_cli.batch.limits import Pace, StoppedError
from writer_cli.batch.plan import Plan
from writer_cli.batch.tokens import TokenEstimate
from writer_cli.errors import DeadlineError, PartialError, WriterError

PATIENCE = 600.0
"""Seconds without a single success after which a batch stops, if no deadline says otherwise."""


class Traffic:
    """All requests of one batch. Each thread asks here before it sends, and reports afterwards.

    Attributes:
        requests: How many requests have been sent, retries included.
        in_flight: How many of them have no answer yet.
        pace: When the next request may be sent.
        estimate: How many tokens a request will need.
        failure: What stopped the batch, if anything did.
    """

    def __init__(self, plan: Plan) -> None:
        self.requests = 0
        self.in_flight = 0
        self.failure: BaseException | None = None
        self._stopped = threading.Event()
        self.pace = Pace(rpm=plan.rpm, tpm=plan.tpm, stop=self._stopped)
        self.estimate = TokenEstimate()
        self._max_requests = plan.max_requests
        self._patient_since = time.monotonic()
        self._lock = threading.Lock()
        """Guards the counters, the failure, and since when nothing has succeeded."""

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more is to be sent."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Let nothing more be sent; requests that are under way are still answered."""
        self._stopped.set()

    def fail(self, error: BaseException) -> None:
        """Stop because of an error that concerns all records; the first one counts."""
        with self._lock:
            self.failure = self.failure or error
        self.stop()

    def before_request(self, tokens: float, ends: float | None) -> Ticket:
        """Wait for a request's turn, and count it.

        Raises `StoppedError`, and `DeadlineError` if its turn comes after `ends`.
        """
        ticket = self.pace.acquire(tokens)
        if ends is not None and ticket.at >= ends:
            raise DeadlineError
        with self._lock:
            is_budget_used_up = self.requests == self._max_requests
            if not is_budget_used_up and not self.is_stopped:
                self.requests += 1
                self.in_flight += 1
                return ticket
        if not self.is_stopped:  # pragma: no branch - another thread may have stopped it just now
            self.fail(
                PartialError(
                    f"the budget of {self.requests} requests is used up",
                    hint="what is left stays for the next run",
                )
            )
        raise StoppedError

    def after_request(self, *, is_success: bool) -> None:
        """Count a request as answered."""
        with self._lock:
            self.in_flight -= 1
            if is_success:
                self._patient_since = max(self._patient_since, time.monotonic())

    def wait_as_asked(self, seconds: float) -> None:
        """Have patience for as long as a server asks to wait, and from then on as usual."""
        with self._lock:
            self._patient_since = max(self._patient_since, time.monotonic() + seconds)

    def give_up_after(self, failure: WriterError, patience: float | None) -> None:
        """Stop the batch if nothing has succeeded for so many seconds. Raises `StoppedError`."""
        patience = PATIENCE if patience is None else patience
        with self._lock:
            if time.monotonic() - self._patient_since < patience:
                return
        failure.message = f"nothing was answered for {patience:g} s: {failure.message}"
        failure.hint = "the same command goes on with what is left, when the API is back"
        self.fail(failure)
        raise StoppedError
