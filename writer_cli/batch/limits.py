"""When each request may be sent: below the limits that the user states, and the learned one."""

import math
import threading
import time
from collections.abc import Callable

from writer_cli.batch.counting import Ticket
from writer_cli.batch.pacing import Pacing

MARGIN = 0.99
"""How much of a stated limit is used: evenly spaced requests do not arrive evenly."""


LONGEST_NAP = 0.25
"""Seconds until a thread that waits looks whether it may go sooner than it was said."""


SHORT_HOLD = 0.3
"""Seconds of a hold that nobody needs to be told of."""


class StoppedError(Exception):
    """The batch is to send nothing more."""


class _Meter:
    """A steady rate: the generic cell rate algorithm without a burst."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self.free_at = 0.0


class Pace:
    """Lets the threads of a batch send one after the other, each when it may.

    Args:
        rpm: Requests a minute, at the most.
        tpm: Tokens a minute, at the most, as far as they can be estimated beforehand.
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
        self._pacing = Pacing(clock())
        self._stop = stop
        self._clock = clock
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        """Guards what follows, and the pacing."""
        self._bound = ""
        self._is_network_down = False

    def bound(self) -> str:
        """Say what bounds the speed, if it is not the number of threads.

        One of "server overloaded, probing", "no connection, probing", "waiting 90 s, as the
        server asks", "limited by the server to 598/min", "limited by --rpm", "limited by --tpm";
        or an empty text.
        """
        with self._lock:
            if self._pacing.outage.is_on:
                what = "no connection" if self._is_network_down else "server overloaded"
                return f"{what}, probing"
            held_for = self._pacing.wall.held_until - self._clock()
            if held_for > SHORT_HOLD:
                return f"waiting {math.ceil(held_for)} s, as the server asks"
            if self._bound == "server" and self._pacing.rate is not None:
                return f"limited by the server to {self._pacing.rate * 60:.0f}/min"
            return f"limited by {self._bound}" if self._bound.startswith("--") else ""

    def acquire(self, tokens: float) -> Ticket:
        """Wait until a request may be sent, and count it. Raises `StoppedError`."""
        # One thread waits for the next moment, the others for their turn: what changes the moment
        # meanwhile, a refusal or a correction, concerns nothing that was promised to anybody.
        with self._turn:
            asked_at = self._clock()
            while not self._stop.is_set():
                with self._lock:
                    now = self._clock()
                    start = self._next_start(asked_at)
                    if start <= now:
                        # Not `now`: waking up late must not add up.
                        for meter, amount in ((self._requests, 1.0), (self._tokens, tokens)):
                            if meter is not None:
                                meter.free_at = start + amount / meter.per_second
                        return self._pacing.sent(asked_at, now)
                self._stop.wait(min(start - now, LONGEST_NAP))
            raise StoppedError

    def _next_start(self, asked_at: float) -> float:
        start = self._pacing.next_start(asked_at)
        bound = "server" if start > asked_at else ""
        for meter, flag in ((self._requests, "--rpm"), (self._tokens, "--tpm")):
            if meter is not None and meter.free_at > start:
                start, bound = meter.free_at, flag
        self._bound = bound
        return start

    def answered(self, ticket: Ticket) -> None:
        """Take note of an answer that says nothing against the rate or the server."""
        with self._lock:
            self._pacing.answered(self._clock(), ticket)

    def failed(self, ticket: Ticket, *, is_first_attempt: bool, is_network: bool) -> bool:
        """Take note that the server or the network failed, and return whether it does for all."""
        with self._lock:
            self._is_network_down = is_network
            self._pacing.failed(self._clock(), ticket, is_first_attempt=is_first_attempt)
            return self._pacing.outage.is_on

    def refused(self, ticket: Ticket, retry_after: float | None) -> None:
        """Take note of a 429, and of how many seconds it asks to wait, if it does."""
        with self._lock:
            self._pacing.refused(self._clock(), ticket, retry_after)

    def settle(self, estimated: float, actual: float) -> None:
        """Correct what a request was thought to need in tokens by what it needed."""
        with self._lock:
            if self._tokens is not None:
                self._tokens.free_at -= (estimated - actual) / self._tokens.per_second
