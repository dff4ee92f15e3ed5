"""One thread of a batch: a record becomes a request, and its answer or failure a result."""

import time
from dataclasses import dataclass
from typing import Any

from writer_cli.batch.counting import Ticket
from writer_cli.batch.limits import StoppedError
from writer_cli.batch.lines import quoted
from writer_cli.batch.plan import Plan
from writer_cli.batch.records import Record
from writer_cli.batch.results import Result
from writer_cli.batch.traffic import Traffic
from writer_cli.client import Writer
from writer_cli.errors import (
    BadAnswerError,
    DeadlineError,
    NetworkError,
    SDKError,
    UsageError,
    WriterError,
)
from writer_cli.exits import ExitCode
from writer_cli.http.retry import LONGEST_RETRY_AFTER, RetryPolicy, wait_after
from writer_cli.models import CompletionRequest, CompletionResponse

LONGEST_HOLD = 3600.0
"""Seconds that a server may ask a batch to wait after a 429; more than that stops the batch."""


@dataclass(slots=True)
class Pending:
    """A record that has no result yet.

    Attributes:
        record: What to complete.
        requests: How many requests were sent for it.
        failures: How many of them failed in a way that counts: refusals (429) do not, nor does
            what fails while the server fails for everybody.
        refusals: How many of them were refused with 429.
        first_sent_at: When the first of them was sent.
        due: When it is to be tried again.
    """

    record: Record
    requests: int = 0
    failures: int = 0
    refusals: int = 0
    first_sent_at: float = 0.0
    due: float = 0.0


class Worker:
    """One thread's client. It sends a record once at a time; others wait in the engine's line."""

    def __init__(self, writer: Writer, plan: Plan, traffic: Traffic) -> None:
        self._writer = writer
        self._plan = plan
        self._traffic = traffic
        self._max_retries = writer.connection.retries.max_retries
        self._deadline = writer.connection.retries.deadline
        self._ticket: Ticket | None = None

    def attempt(self, pending: Pending) -> Result | None:
        """Send a record, and return its result, or None if it is to be tried again when it is due.

        Raises `StoppedError` if the batch is to stop.
        """
        answer: CompletionResponse | None = None
        failure: WriterError | None = None
        try:
            request = request_for(pending.record, self._plan.defaults)
            tokens = self._traffic.estimate.before(request)
            self._writer.connection.retries = RetryPolicy(
                max_retries=0,
                deadline=self._time_left(pending),
                before_attempt=lambda: self._before_request(pending, tokens),
            )
            answer = self._ask(request)
            if self._ticket is not None:  # or the answer was in the cache
                actual = self._traffic.estimate.after(request, answer)
                self._traffic.pace.settle(tokens, actual)
        except WriterError as error:
            failure = error
        finally:
            is_out = self._after_request(pending, failure)
        if failure is not None:
            failure.attempts = pending.requests
            if _concerns_all(failure):
                self._traffic.fail(failure)
                raise StoppedError
            if failure.retryable and (is_out or failure.exit_code == ExitCode.LIMITED):
                self._traffic.give_up_after(failure, self._deadline)
            wait = self._wait_after(failure, pending, is_out=is_out)
            if wait is not None:
                pending.due = time.monotonic() + wait
                return None
        return Result(
            record=pending.record,
            **(answer.as_dict() if answer else {}),
            error=None if failure is None else failure.as_dict(),
            model_id=self._plan.model_id,
            attempts=pending.requests,
            elapsed_s=time.monotonic() - pending.first_sent_at if pending.requests else 0.0,
        )

    def _time_left(self, pending: Pending) -> float | None:
        """Return how many seconds of the deadline are left; it begins with the first request."""
        if self._deadline is None or not pending.requests:
            return self._deadline
        return self._deadline - (time.monotonic() - pending.first_sent_at)

    def _before_request(self, pending: Pending, tokens: float) -> None:
        left = self._time_left(pending)
        is_first = not pending.requests
        ends = None if left is None or is_first else time.monotonic() + left
        self._ticket = self._traffic.before_request(tokens, ends)
        pending.requests += 1
        if is_first:
            pending.first_sent_at = self._ticket.at

    def _after_request(self, pending: Pending, failure: WriterError | None) -> bool:
        """Tell the others what a request ended with; return whether the server fails for all."""
        ticket, self._ticket = self._ticket, None
        if ticket is None:
            return False
        pace = self._traffic.pace
        is_limited = failure is not None and failure.exit_code == ExitCode.LIMITED
        is_failure = failure is not None and (
            failure.exit_code in {ExitCode.SERVER, ExitCode.NETWORK}
        )
        self._traffic.after_request(is_success=not is_limited and not is_failure)
        if is_limited and isinstance(failure, SDKError):
            if failure.retry_after is not None:
                self._traffic.wait_as_asked(failure.retry_after)
            pace.refused(ticket, failure.retry_after)
        elif is_failure and not isinstance(failure, DeadlineError):
            return pace.failed(
                ticket,
                is_first_attempt=pending.requests == 1,
                is_network=isinstance(failure, NetworkError),
            )
        elif not is_failure:
            pace.answered(ticket)
        return False

    def _wait_after(self, failure: WriterError, pending: Pending, *, is_out: bool) -> float | None:
        """Return the seconds after which to try again, or None if that is not to be."""
        if not failure.retryable:
            return None
        if failure.exit_code == ExitCode.LIMITED:
            pending.refusals += 1
            wait = wait_after(failure, pending.refusals)
        else:
            pending.failures += not is_out
            wait = wait_after(failure, max(1, pending.failures))
            if pending.failures > self._max_retries or wait > LONGEST_RETRY_AFTER:
                return None
        left = self._time_left(pending)
        return None if left is not None and wait >= left else wait

    def _ask(self, request: CompletionRequest) -> CompletionResponse:
        completions, plan = self._writer.completions, self._plan
        if plan.customization_id is None:
            created = completions.create(completion_request=request, model_id=plan.model_id)
        else:
            created = completions.create_model_customization_completion(
                completion_request=request,
                model_id=plan.model_id,
                customization_id=plan.customization_id,
            )
        if created.completion_response is None or not created.completion_response.choices:
            raise BadAnswerError("the answer has no choices", hint="try again")
        return created.completion_response


def request_for(record: Record, defaults: dict[str, Any]) -> CompletionRequest:
    """Return the request that a record stands for. Raises `UsageError` naming the field."""
    from pydantic import ValidationError

    if record.problem is not None:
        raise UsageError(record.problem)
    where = f"line {record.line}: " if record.line else ""
    try:
        return CompletionRequest(prompt=record.prompt or "", **defaults | record.fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        _, _, what_should_be = first["msg"].partition(" ")  # "Input should be", "String should"
        reason = f"{name}: {quoted(first['input'])} {what_should_be}"
        if not name:  # two fields that do not fit together
            reason = str(first["ctx"]["error"])
        raise UsageError(where + reason) from None


def _concerns_all(error: WriterError) -> bool:
    """Whether no other record would fare better: no key, a refused one, a quota used up."""
    is_final = error.exit_code == ExitCode.LIMITED and not error.retryable
    asks_too_much = (
        isinstance(error, SDKError)
        and error.exit_code == ExitCode.LIMITED
        and (error.retry_after or 0.0) > LONGEST_HOLD
    )
    return error.exit_code in {ExitCode.CONFIGURATION, ExitCode.DENIED} or is_final or asks_too_much
