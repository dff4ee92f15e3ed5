"""What the threads of a batch share while they send: the pace, the budget, and the end."""

import threading

from writer_cli.batch.limits import Pace, StoppedError
from writer_cli.batch.plan import Plan
from writer_cli.errors import PartialError


class Traffic:
    """All requests of one batch. Each thread asks here before it sends, and reports afterwards.

    Attributes:
        requests: How many requests have been sent, retries included.
        in_flight: How many of them have no answer yet.
        pace: When the next request may be sent.
        failure: What stopped the batch, if anything did.
    """

    def __init__(self, plan: Plan) -> None:
        self.requests = 0
        self.in_flight = 0
        self.failure: BaseException | None = None
        self._stopped = threading.Event()
        self.pace = Pace(rpm=plan.rpm, tpm=plan.tpm, stop=self._stopped)
        self._max_requests = plan.max_requests
        self._lock = threading.Lock()
        """Guards the counters and the failure."""

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

    def before_request(self, tokens: float) -> float:
        """Wait for a request's turn, count it, and return when it is. Raises `StoppedError`."""
        sent_at = self.pace.acquire(tokens)
        with self._lock:
            is_budget_used_up = self.requests == self._max_requests
            if not is_budget_used_up and not self.is_stopped:
                self.requests += 1
                self.in_flight += 1
                return sent_at
        if not self.is_stopped:
            self.fail(
                PartialError(
                    f"the budget of {self.requests} requests is used up",
                    hint="what is left stays for the next run",
                )
            )
        raise StoppedError

    def after_request(self) -> None:
        """Count a request as answered."""
        with self._lock:
            self.in_flight -= 1

    def sleep(self, seconds: float) -> None:
        """Wait, unless the batch stops. Raises `StoppedError`."""
        if self._stopped.wait(seconds):
            raise StoppedError
