"""Which failures are retried, and after how many seconds.

The policy is that of Writer's SDK: exponential backoff from one second up to a minute, plus up to
a quarter at random. A wait that the server asks for replaces it.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from writer_cli.errors import DeadlineError, SDKError, WriterError
from writer_cli.http import DEFAULT_MAX_RETRIES

if TYPE_CHECKING:
    from tenacity import RetryCallState

FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
JITTER = 0.25
"""The first and the longest wait in seconds, and the share of a wait that is added at random."""

LONGEST_RETRY_AFTER = 120.0
"""Seconds that a server may ask to wait; if it asks for more, there is no retry."""

_Result = TypeVar("_Result")


class Wait(NamedTuple):
    """A wait before a retry: the failure, the seconds, and the number of the retry."""

    failure: WriterError
    seconds: float
    retry: int
    max_retries: int

    def __str__(self) -> str:
        status = getattr(self.failure, "status_code", None)
        what = f"HTTP {status}" if status else self.failure.kind
        seconds = f"{self.seconds:.0f}" if self.seconds >= 1 else f"{self.seconds:.1f}"
        return f"{what}: trying again in {seconds} s (retry {self.retry} of {self.max_retries})"


class RetryPolicy(NamedTuple):
    """How often to retry, and how long everything may take.

    Attributes:
        max_retries: Attempts after the first one; 0 or more.
        deadline: Seconds for all attempts and waits together; None is no limit.
        before_attempt: Called before each attempt; an exception from it ends the call.
        on_wait: Called before each wait.
        clock: Returns seconds that never decrease.
        sleep: Waits the given number of seconds.
    """

    max_retries: int = DEFAULT_MAX_RETRIES
    deadline: float | None = None
    before_attempt: Callable[[], None] | None = None
    on_wait: Callable[[Wait], None] | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def run(self, attempt: Callable[[float | None], _Result]) -> tuple[_Result, int]:
        """Call `attempt` until it succeeds or no retry is allowed.

        `attempt` is called with the seconds left until the deadline, or None. Returns its result
        and the number of attempts. Raises the last error, with that number in `attempts`.
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
        """Retry after a first failure; only then is the library for retries imported."""
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
            wait=lambda state: wait_after(_failure_of(state), state.attempt_number),
            before_sleep=announce,
            sleep=self.sleep,
            reraise=True,
        )
        return retrying(once_more)

    def _is_too_long(self, seconds: float, started: float) -> bool:
        """Whether a wait is longer than allowed, or would end after the deadline."""
        if seconds > LONGEST_RETRY_AFTER:
            return True
        return self.deadline is not None and self.clock() - started + seconds >= self.deadline


def _failure_of(state: "RetryCallState") -> WriterError:
    error = state.outcome.exception() if state.outcome else None
    # Any other exception is a bug in this program, and a retry does not help.
    return error if isinstance(error, WriterError) else WriterError(repr(error))


def wait_after(error: WriterError, retry: int) -> float:
    """Return how many seconds to wait before so many-th retry, from 1."""
    if isinstance(error, SDKError) and error.retry_after is not None:
        return error.retry_after
    import random

    # 2.0 to the power of a few thousand retries would overflow.
    wait = min(FIRST_WAIT * 2.0 ** min(retry - 1, 100), LONGEST_WAIT)
    return wait * (1 + JITTER * random.random())  # noqa: S311 - spreads the load, protects no secret


def retry_after(
    headers: Mapping[str, str], *, now: Callable[[], float] = time.time
) -> float | None:
    """Return the seconds that the server asks to wait, or None.

    `retry-after-ms` comes first, then `Retry-After` as seconds or as a date (RFC 9110, 10.2.3).
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
    # One of the three date formats has no time zone; it means UTC like the others.
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - now())


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Return the value of `x-should-retry`, which overrides the rule for the status; or None."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
