"""How fast to send: limits that were told, and one that is learned from being refused."""

import threading
import time
from collections.abc import Callable

GROWTH = 0.004
"""What a learned rate grows by in a second without a refusal."""

BACK_OFF = 0.98
"""What of the rate that was answered is kept after a refusal."""

SLOWEST = 1 / 60
"""Requests a second that a learned rate does not fall below."""


class StoppedError(Exception):
    """The batch is to send nothing more."""


class _Meter:
    """Lets an amount through at a steady rate: the generic cell rate algorithm without a burst."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self.free_at = 0.0

    def reserve(self, now: float, amount: float) -> float:
        """Return when the amount may go."""
        start = max(now, self.free_at)
        self.free_at = start + amount / self.per_second
        return start


class Pace:
    """When each request may be sent, for all threads together.

    A refusal (429) holds everybody for as long as the server asks, and teaches a rate: what was
    answered since the last refusal, waits included. From there the rate grows slowly until it is
    refused again. It is the rate that is learned and not the number of threads, because one thread
    alone can be too fast for a limit, and thirty can be too slow for it.

    Args:
        rpm: Requests a minute, at the most.
        tpm: Tokens a minute, at the most, as far as they can be told beforehand.
        stop: Set when nothing more is to be sent.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        *,
        rpm: float | None = None,
        tpm: float | None = None,
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests = None if rpm is None else _Meter(rpm / 60)
        self._tokens = None if tpm is None else _Meter(tpm / 60)
        self._learned: _Meter | None = None
        self._stop = stop
        self._clock = clock
        self._lock = threading.Lock()
        self._refusals = 0
        self._held_until = 0.0
        self._cycle_began = clock()
        self._answered = 0
        self._grown_at = clock()

    @property
    def is_holding(self) -> bool:
        """Whether everybody waits because of a refusal."""
        return self._clock() < self._held_until

    def acquire(self, tokens: float) -> float:
        """Wait until a request may be sent, and return when that was.

        Raises `StoppedError`.
        """
        while True:
            with self._lock:
                now, refusals = self._clock(), self._refusals
                start = max(now, self._held_until)
                for meter, amount in (
                    (self._requests, 1.0),
                    (self._tokens, tokens),
                    (self._learned, 1.0),
                ):
                    if meter is not None:
                        start = max(start, meter.reserve(max(now, self._held_until), amount))
            if self._stop.is_set() or (start > now and self._stop.wait(start - now)):
                raise StoppedError
            if start == now or refusals == self._refusals:
                return self._clock()
            # Somebody was refused meanwhile: what was reserved is void.

    def answered(self) -> None:
        """Take note of a request that was not refused; a learned rate grows by it."""
        with self._lock:
            self._answered += 1
            if self._learned is not None:
                now = self._clock()
                self._learned.per_second *= 1 + GROWTH * (now - self._grown_at)
                self._grown_at = now

    def refused(self, sent_at: float, seconds: float) -> None:
        """Take note of a 429 to a request sent at `sent_at`: hold everybody, and learn."""
        with self._lock:
            now = self._clock()
            is_news = sent_at >= self._cycle_began
            self._held_until = max(self._held_until, now + seconds)
            if not is_news:
                return
            self._refusals += 1
            rate = self._answered / max(now - self._cycle_began, 1.0) * BACK_OFF
            if self._learned is None:
                self._learned = _Meter(max(rate, SLOWEST))
            else:
                self._learned.per_second = max(min(rate, self._learned.per_second), SLOWEST)
            self._answered, self._cycle_began, self._grown_at = 0, now, self._held_until
            for meter in (self._requests, self._tokens, self._learned):
                if meter is not None:
                    meter.free_at = self._held_until

    def settle(self, estimated: float, actual: float) -> None:
        """Correct what a request was thought to need in tokens by what it needed."""
        with self._lock:
            if self._tokens is not None:
                self._tokens.free_at -= (estimated - actual) / self._tokens.per_second
