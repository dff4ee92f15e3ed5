"""The engine: threads that take records, send them, and hand back results."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from queue import Empty, Queue
from typing import Any, Self

from writer_cli.batch.limits import Pace, StoppedError
from writer_cli.batch.lines import quoted
from writer_cli.batch.records import Record
from writer_cli.batch.results import Result
from writer_cli.client import Writer
from writer_cli.errors import (
    BadAnswerError,
    ConfigurationError,
    PartialError,
    SDKError,
    UsageError,
    WriterError,
)
from writer_cli.exits import ExitCode
from writer_cli.models import CompletionRequest
from writer_cli.retry import Wait

DEFAULT_CONCURRENCY = 8

BYTES_PER_TOKEN = 4
"""What a token is estimated at, for `tpm`: the API does not say how many it counted."""

USUAL_TOKENS = 256
"""What an answer is estimated at that has no `max_tokens`."""


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
) -> "BatchRun":
    """Complete many prompts and return an iterator over one result for each, as they arrive.

    Args:
        records: What to complete; taken one by one, from whichever thread is free.
        make_writer: Returns a client; each thread has its own, and closes it.
        model_id: The model to ask.
        customization_id: A customization of it.
        defaults: Fields of `CompletionRequest` for all records; a record's own go before them.
        concurrency: Threads, and so requests at the same time.
        rpm: Requests a minute, at the most.
        tpm: Tokens a minute, at the most, estimated from the texts.
        max_requests: Requests at the most, retries included; then the batch stops.

    A record that fails has a result with an `error`. What concerns all of them, a refused key or a
    quota that is used up, stops the batch: iteration raises it once the requests that were under
    way have been answered, and the records that are left have no result.
    """
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
    ) -> None:
        self._records = iter(records)
        self._make_writer = make_writer
        self._model_id = model_id
        self._customization_id = customization_id
        self._defaults = defaults
        self._stop = threading.Event()
        self._pace = Pace(rpm=rpm, tpm=tpm, stop=self._stop)
        self._requests_left = max_requests
        self._lock = threading.Lock()
        self._taking = threading.Lock()
        self._results: Queue[Result | None] = Queue(maxsize=4 * concurrency)
        self._failure: Exception | None = None
        self.in_flight = 0
        self.requests = 0
        self._working = concurrency
        for number in range(concurrency):
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __iter__(self) -> Iterator[Result]:
        while not self.is_over:
            result = self.poll(timeout=None)
            if result is not None:
                yield result
        self.raise_failure()

    @property
    def is_over(self) -> bool:
        """Whether every thread has ended and every result has been taken."""
        return self._working == 0

    @property
    def is_holding(self) -> bool:
        """Whether the batch waits because the API refused a request for its rate."""
        return self._pace.is_holding

    def poll(self, timeout: float | None) -> Result | None:
        """Return the next result, or None if none comes within so many seconds."""
        try:
            result = self._results.get(timeout=timeout)
        except Empty:
            return None
        if result is None:
            self._working -= 1
        return result

    def stop(self) -> None:
        """Send nothing more; what is under way is still answered."""
        self._stop.set()

    def raise_failure(self) -> None:
        """Raise what stopped the batch, if anything did."""
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            worker = _Worker(self._make_writer(), self)
            try:
                while (record := self._next()) is not None:
                    result = worker.answer(record)
                    if result is not None:
                        self._results.put(result)
            finally:
                worker.close()
        except StoppedError:
            pass
        except Exception as error:  # noqa: BLE001 - it is raised where results are taken
            self.fail(error)
        finally:
            self._results.put(None)

    def _next(self) -> Record | None:
        with self._taking:
            return None if self._stop.is_set() else next(self._records, None)

    def fail(self, error: Exception) -> None:
        """Stop everything because of an error that concerns all records."""
        with self._lock:
            self._failure = self._failure or error
        self._stop.set()

    def before_request(self, tokens: float) -> float:
        """Wait for a request's turn, and count it. Raises `StoppedError`."""
        sent_at = self._pace.acquire(tokens)
        with self._lock:
            if self._requests_left is not None:
                if self._requests_left == 0:
                    self._failure = self._failure or PartialError(
                        f"the budget of {self.requests} requests is used up",
                        hint="what is left stays for the next run",
                    )
                    self._stop.set()
                    raise StoppedError
                self._requests_left -= 1
            self.requests += 1
            self.in_flight += 1
        return sent_at

    def after_request(self) -> None:
        """Count a request as answered."""
        with self._lock:
            self.in_flight -= 1

    def ask(self, writer: Writer, request: CompletionRequest) -> Any:
        """Send a request with one of the clients."""
        if self._customization_id is None:
            return writer.completions.create(completion_request=request, model_id=self._model_id)
        return writer.completions.create_model_customization_completion(
            completion_request=request,
            model_id=self._model_id,
            customization_id=self._customization_id,
        )

    def request_for(self, record: Record) -> CompletionRequest:
        """Return the request that a record stands for. Raises `UsageError`."""
        return request_for(record, self._defaults)

    @property
    def model_id(self) -> str:
        """The model that is asked."""
        return self._model_id

    @property
    def pace(self) -> Pace:
        """When requests may be sent."""
        return self._pace

    def sleep(self, seconds: float) -> None:
        """Wait, unless the batch stops. Raises `StoppedError`."""
        if self._stop.wait(seconds):
            raise StoppedError


class _Worker:
    """One thread's client, and what it is sending."""

    def __init__(self, writer: Writer, batch: BatchRun) -> None:
        self._writer = writer
        self._batch = batch
        self._tokens = 0.0
        self._sent_at = 0.0
        self._first_sent_at: float | None = None
        self._is_under_way = False
        connection = writer.connection
        connection.retries = replace(
            connection.retries,
            before_attempt=self._before_attempt,
            on_wait=self._on_wait,
            sleep=batch.sleep,
        )

    def close(self) -> None:
        self._writer.close()

    def answer(self, record: Record) -> Result | None:
        """Send a record and return its result, or None if the batch is to stop first."""
        self._first_sent_at = None
        choices: list[dict[str, Any]] | None = None
        failure: WriterError | None = None
        attempts = 0
        try:
            request = self._batch.request_for(record)
            self._tokens = _estimated_tokens(request)
            response = self._batch.ask(self._writer, request)
            attempts = response.attempts
            choices = _choices(response)
            self._batch.pace.answered()
            self._batch.pace.settle(self._tokens, _actual_tokens(request, choices))
        except WriterError as error:
            if _concerns_all(error):
                self._batch.fail(error)
                return None
            self._take_note_of_refusal(error)
            failure, attempts = error, error.attempts
        finally:
            self._after_attempt()
        return Result(
            record=record,
            choices=choices,
            error=None if failure is None else failure.as_dict(),
            model_id=self._batch.model_id,
            attempts=attempts,
            elapsed_s=self._elapsed(),
        )

    def _elapsed(self) -> float:
        """Return the seconds since the record's first request, if there was one."""
        return 0.0 if self._first_sent_at is None else time.monotonic() - self._first_sent_at

    def _before_attempt(self) -> None:
        self._sent_at = self._batch.before_request(self._tokens)
        if self._first_sent_at is None:
            self._first_sent_at = self._sent_at
        self._is_under_way = True

    def _after_attempt(self) -> None:
        if self._is_under_way:
            self._is_under_way = False
            self._batch.after_request()

    def _on_wait(self, wait: Wait) -> None:
        self._after_attempt()
        if isinstance(wait.failure, SDKError) and wait.failure.kind == "rate_limit":
            self._batch.pace.refused(self._sent_at, wait.seconds)

    def _take_note_of_refusal(self, error: WriterError) -> None:
        if isinstance(error, SDKError) and error.kind == "rate_limit":
            self._batch.pace.refused(self._sent_at, error.retry_after or 1.0)


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
    return isinstance(error, ConfigurationError) or (
        error.exit_code == ExitCode.DENIED or error.kind == "quota"
    )


def _choices(response: Any) -> list[dict[str, Any]]:
    choices = response.completion_response.choices
    if not choices:
        raise BadAnswerError("the answer has no choices", hint="try again")
    return [
        {
            "index": index,
            "text": choice.text,
            "logprobs": choice.logprobs and choice.logprobs.model_dump(),
        }
        for index, choice in enumerate(choices)
    ]


def _estimated_tokens(request: CompletionRequest) -> float:
    answers = max(request.n or 1, request.best_of or 1)
    length = len(request.prompt) / BYTES_PER_TOKEN
    return length + answers * min(request.max_tokens or USUAL_TOKENS, USUAL_TOKENS)


def _actual_tokens(request: CompletionRequest, choices: list[dict[str, Any]]) -> float:
    length = len(request.prompt) + sum(len(choice["text"]) for choice in choices)
    return length / BYTES_PER_TOKEN
