"""One thread of a batch: a record becomes a request, and its answer or failure a result."""

import time
from typing import Any

from writer_cli.batch.lines import quoted
from writer_cli.batch.plan import Plan
from writer_cli.batch.records import Record
from writer_cli.batch.results import Result
from writer_cli.batch.traffic import Traffic
from writer_cli.client import Writer
from writer_cli.errors import BadAnswerError, SDKError, UsageError, WriterError
from writer_cli.exits import ExitCode
from writer_cli.models import CompletionRequest, CompletionResponse

BYTES_PER_TOKEN = 4
"""What a token is estimated at, for `tpm`: the API does not say how many it counted."""

USUAL_TOKENS = 256
"""What an answer is estimated at that has no `max_tokens`."""

USUAL_HOLD = 1.0
"""Seconds that all wait after a 429 that names no time and is not tried again."""


class Worker:
    """One thread's client, and what it is sending."""

    def __init__(self, writer: Writer, plan: Plan, traffic: Traffic) -> None:
        self._writer = writer
        self._plan = plan
        self._traffic = traffic
        self._tokens = 0.0
        self._attempts = 0
        self._sent_at = 0.0
        self._first_sent_at = 0.0
        self._is_under_way = False
        connection = writer.connection
        connection.retries = connection.retries._replace(
            before_attempt=self._before_attempt,
            on_wait=lambda wait: self._after_attempt(wait.failure, wait.seconds),
            sleep=traffic.sleep,
        )

    def answer(self, record: Record) -> Result | None:
        """Send a record and return its result, or None if it concerns all records.

        Raises `StoppedError` if the batch is to stop before there is an answer.
        """
        self._attempts = 0
        answer: CompletionResponse | None = None
        failure: WriterError | None = None
        try:
            request = request_for(record, self._plan.defaults)
            self._tokens = _estimated_tokens(request)
            answer = self._ask(request)
            self._traffic.pace.settle(self._tokens, _actual_tokens(request, answer))
        except WriterError as error:
            failure = error
        finally:
            self._after_attempt(failure)
        if failure is not None:
            failure.attempts = self._attempts
            if _concerns_all(failure):
                self._traffic.fail(failure)
                return None
        return Result(
            record=record,
            **(answer.as_dict() if answer else {}),
            error=None if failure is None else failure.as_dict(),
            model_id=self._plan.model_id,
            attempts=self._attempts,
            elapsed_s=time.monotonic() - self._first_sent_at if self._attempts else 0.0,
        )

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

    def _before_attempt(self) -> None:
        self._sent_at = self._traffic.before_request(self._tokens)
        self._attempts += 1
        if self._attempts == 1:
            self._first_sent_at = self._sent_at
        self._is_under_way = True

    def _after_attempt(self, failure: WriterError | None, wait: float = USUAL_HOLD) -> None:
        """Tell the others what an attempt ended with, if one was made and not told of yet."""
        if not self._is_under_way:
            return
        self._is_under_way = False
        self._traffic.after_request()
        if isinstance(failure, SDKError) and failure.exit_code == ExitCode.LIMITED:
            self._traffic.pace.refused(self._sent_at, failure.retry_after or wait)
        else:
            self._traffic.pace.answered()


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
    return error.exit_code in {ExitCode.CONFIGURATION, ExitCode.DENIED} or is_final


def _estimated_tokens(request: CompletionRequest) -> float:
    answers = max(request.n or 1, request.best_of or 1)
    length = len(request.prompt) / BYTES_PER_TOKEN
    return length + answers * min(request.max_tokens or USUAL_TOKENS, USUAL_TOKENS)


def _actual_tokens(request: CompletionRequest, answer: CompletionResponse) -> float:
    if answer.usage is not None and answer.usage.total_tokens is not None:
        return answer.usage.total_tokens
    length = len(request.prompt) + sum(len(choice.text) for choice in answer.choices)
    return length / BYTES_PER_TOKEN
