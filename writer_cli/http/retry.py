"""Which failures are tried again, and after how long.

The policy is that of Writer's own SDK: waits of a second, doubled each time up to a minute, with
up to a quarter more at random; a server that says how long to wait is obeyed.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from writer_cli.errors import DeadlineError, SDKError, WriterError

if TYPE_CHECKING:
    from tenacity import RetryCallState

DEFAULT_MAX_RETRIES = 3

FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
JITTER = 0.25
"""Seconds, seconds, and the part of a wait that chance may add."""

LONGEST_RETRY_AFTER = 120.0
"""Seconds that a server may ask to wait; what asks for more is not tried again."""

_Result = TypeVar("_Result")


class Wait(NamedTuple):
    """A pause before another attempt, for whoever shows it."""

    failure: WriterError
    seconds: float
    retry: int
    max_retries: int

    def __str__(self) -> str:
        what = getattr(self.failure, "status_code", None) or self.failure.kind
        seconds = f"{self.seconds:.0f}" if self.seconds >= 1 else f"{self.seconds:.1f}"
        return f"{what}, trying again in {seconds} s, {self.retry} of {self.max_retries}"


class RetryPolicy(NamedTuple):
    """How often and how long to try.

    Attributes:
        max_retries: Attempts after the first; 0 or more.
        deadline: Seconds that everything may take together, waits included; None is no limit.
        before_attempt: Called before each attempt; what it raises ends everything.
        on_wait: Told before each wait.
        clock: Seconds that only grow.
        sleep: Waits so many seconds.
    """

    max_retries: int = DEFAULT_MAX_RETRIES
    deadline: float | None = None
    before_attempt: Callable[[], None] | None = None
    on_wait: Callable[[Wait], None] | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def run(self, attempt: Callable[[float | None], _Result]) -> tuple[_Result, int]:
        """Call `attempt` until it succeeds or may not be tried again.

        `attempt` gets the seconds that are left, or None. Returns its result and the number of
        attempts; raises its last error, with that number as `attempts`.
        """
        started = self.clock()
        attempts = 0

        def try_once() -> _Result:
            nonlocal attempts
            left = None if self.deadline is None else self.deadline - (self.clock() - started)
            if left is not None and left <= 0:
                raise DeadlineError
            if self.before_attempt is not None:
                self.before_attempt()
            attempts += 1
            return attempt(left)

        try:
            try:
                return try_once(), attempts
            except WriterError as error:
                if not (error.retryable and self.max_retries):
                    raise
                return self._try_again(error, try_once, started), attempts
        except WriterError as error:
            error.attempts = attempts
            raise

    def _try_again(
        self, first: WriterError, try_once: Callable[[], _Result], started: float
    ) -> _Result:
        """Go on after a first failure. The library for that is imported now that it is needed."""
        from tenacity import RetryCallState, Retrying

        failures = [first]

        def once_more() -> _Result:
            if failures:
                raise failures.pop()
            return try_once()

        def stop(state: RetryCallState) -> bool:
            return state.attempt_number > self.max_retries or self._is_too_long(
                state.upcoming_sleep, started
            )

        def announce(state: RetryCallState) -> None:
            if self.on_wait is not None:
                number, seconds = state.attempt_number, state.upcoming_sleep
                self.on_wait(Wait(_failure_of(state), seconds, number, self.max_retries))

        retrying = Retrying(
            retry=lambda state: (
                bool(state.outcome and state.outcome.failed) and _failure_of(state).retryable
            ),
            stop=stop,
            wait=lambda state: _wait_after(_failure_of(state), state.attempt_number),
            before_sleep=announce,
            sleep=self.sleep,
            reraise=True,
        )
        return retrying(once_more)

    def _is_too_long(self, seconds: float, started: float) -> bool:
        """Whether a wait is more than a server may ask for, or would use up the deadline."""
        if seconds > LONGEST_RETRY_AFTER:
            return True
        return self.deadline is not None and self.clock() - started + seconds >= self.deadline


def _failure_of(state: "RetryCallState") -> WriterError:
    error = state.outcome.exception() if state.outcome else None
    # What is not ours is a bug, and no attempt at it will make it better.
    return error if isinstance(error, WriterError) else WriterError(repr(error))


def _wait_after(error: WriterError, retry: int) -> float:
    if isinstance(error, SDKError) and error.retry_after is not None:
        return error.retry_after
    import random

    # No float is 2 to the power of a few thousand retries.
    wait = min(FIRST_WAIT * 2.0 ** min(retry - 1, 100), LONGEST_WAIT)
    return wait * (1 + JITTER * random.random())  # noqa: S311 - spreads clients, hides nothing


def retry_after(
    headers: Mapping[str, str], *, now: Callable[[], float] = time.time
) -> float | None:
    """Return the seconds that an answer asks to wait, if it does.

    `retry-after-ms` counts first, then `Retry-After` as seconds or as a date (RFC 9110, 10.2.3).
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        from email.utils import parsedate_to_datetime

        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    # The oldest of the three forms names no zone, and means the same as the others.
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - now())


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Return what `x-should-retry` says, which overrides what the status means."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
