"""How fast to send: limits that were told, and one that is learned from being refused."""

import threading
import time
from collections.abc import Callable

MARGIN = 0.99
"""What of a told limit is used: what leaves evenly does not arrive evenly."""

GROWTH = 0.002
"""What a learned rate grows by in a second, soon after a refusal."""

PATIENCE = 30.0
"""Seconds after a refusal in which growth doubles; it grows on with the square of the time."""

BACK_OFF = 0.95
"""What is kept of a rate that was refused."""

EVIDENCE = 5.0
"""Seconds since the last refusal below which another one teaches no more than to halve the rate."""

SLOWEST = 1 / 60
"""Requests a second that a learned rate does not fall below."""


class StoppedError(Exception):
    """The batch is to send nothing more."""


class _Meter:
    """A steady rate: the generic cell rate algorithm without a burst."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self.free_at = 0.0


class Pace:
    """When each request may be sent, for all threads together.

    A refusal (429) holds everybody for as long as the server asks, and teaches a rate: the one
    that was refused, spread over the time since the last refusal, holds included. From there the
    rate grows slowly until it is refused again. It is the rate that is learned and not the number
    of threads, because one thread alone can be too fast for a limit, and thirty too slow for it.

    Args:
        rpm: Requests a minute, at the most.
        tpm: Tokens a minute, at the most, as far as they can be told beforehand.
        stop: Set when nothing more is to be sent; its `wait` is the only waiting there is.
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
        self._requests = None if rpm is None else _Meter(rpm / 60 * MARGIN)
        self._tokens = None if tpm is None else _Meter(tpm / 60 * MARGIN)
        self._learned: _Meter | None = None
        self._stop = stop
        self._clock = clock
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._held_until = 0.0
        self._cycle_began = clock()
        self._answered = 0
        self._grown_at = 0.0

    @property
    def is_holding(self) -> bool:
        """Whether everybody waits because of a refusal."""
        return self._clock() < self._held_until

    def acquire(self, tokens: float) -> float:
        """Wait until a request may be sent, and return when that is.

        Raises `StoppedError`.
        """
        # One thread waits for the next moment, the others for their turn: what changes the moment
        # meanwhile, a refusal or a correction, concerns nothing that was promised to anybody.
        with self._turn:
            asked_at = self._clock()
            while not self._stop.is_set():
                with self._lock:
                    now = self._clock()
                    # Not `now`: waking up late must not add up.
                    start = max(asked_at, self._held_until)
                    meters = (self._requests, 1.0), (self._learned, 1.0), (self._tokens, tokens)
                    for meter, _ in meters:
                        start = start if meter is None else max(start, meter.free_at)
                    if start <= now:
                        for meter, amount in meters:
                            if meter is not None:
                                meter.free_at = start + amount / meter.per_second
                        return now
                self._stop.wait(start - now)
            raise StoppedError

    def answered(self) -> None:
        """Take note of a request that was not refused; a learned rate grows by it."""
        with self._lock:
            self._answered += 1
            now = self._clock()
            learned = self._learned
            if learned is None or now <= self._grown_at:
                return
            if learned.free_at > now:  # or it is not the learned rate that bounds the batch
                age = (now - self._held_until) / PATIENCE
                learned.per_second *= 1 + GROWTH * (1 + age * age) * (now - self._grown_at)
            self._grown_at = now

    def refused(self, sent_at: float, seconds: float) -> None:
        """Take note of a 429 to a request sent at `sent_at`: hold everybody, and learn."""
        with self._lock:
            now, was_held_until = self._clock(), self._held_until
            self._held_until = self._grown_at = max(was_held_until, now + seconds)
            if sent_at < self._cycle_began or self._answered == 0:
                return  # a late answer to what is known, or the same wall again: no news
            elapsed = now - self._cycle_began
            if self._learned is None:
                self._learned = _Meter(self._answered / (elapsed or 1.0))
            else:
                in_force = now - max(was_held_until, self._cycle_began)
                kept = in_force / (elapsed or 1.0) * BACK_OFF
                self._learned.per_second *= kept if elapsed >= EVIDENCE else max(kept, 0.5)
            self._learned.per_second = max(SLOWEST, self._learned.per_second)
            self._answered, self._cycle_began = 0, now

    def settle(self, estimated: float, actual: float) -> None:
        """Correct what a request was thought to need in tokens by what it needed."""
        with self._lock:
            if self._tokens is not None:
                self._tokens.free_at -= (estimated - actual) / self._tokens.per_second
