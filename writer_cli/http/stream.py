"""A stream: the text of a completion, chunk by chunk while it is generated."""

import codecs
import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from typing import Any, Self

from writer_cli.apis.dialect import EVENT_STREAM, Api, unwrapped
from writer_cli.apis.failures import Failure, read_failure
from writer_cli.errors import BadAnswerError, CutError, SDKError, WriterError
from writer_cli.http import answer_json, sse
from writer_cli.http.error_answers import error_from_answer, json_object
from writer_cli.http.reply import Reply
from writer_cli.models import (
    CompletionChunk,
    CompletionGenerationChoice,
    CompletionResponse,
    CreateCompletionResponse,
    Usage,
)
from writer_cli.redaction import cleaned_excerpt

DONE = "[DONE]"


class CompletionStream:
    """An iterator over chunks. It closes its connection at its end, or as a context manager.

    Iteration raises `CutError` if the connection breaks or the last event is incomplete,
    `SDKError` or `FailResponse` if the API sends an error inside the stream, and
    `RequestTimeoutError` if no chunk arrives in time.

    Sources: Writer's two published descriptions for the fields of an event, the WHATWG standard
    for events, and Writer's SDK for `[DONE]`. Writer's own APIs may also end without `[DONE]`.
    """

    def __init__(
        self, reply: Reply, api: Api, hints: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.status_code = reply.status_code
        self.content_type = reply.content_type
        self.headers = reply.headers
        self.attempts = reply.attempts
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self._texts: list[str] = []
        self._reply = reply
        self._api = api
        self._hints = hints
        self._chunks = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[CompletionChunk]:
        return self

    def __next__(self) -> CompletionChunk:
        try:
            chunk = next(self._chunks)
        except WriterError as error:
            error.attempts, error.text = self.attempts, self.text
            raise
        self._texts.append(chunk.text)
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self.usage = chunk.usage or self.usage
        return chunk

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._texts)

    @property
    def action_id(self) -> str | None:
        """Writer's id of the request, from the `Action-Id` header, for questions to support."""
        return self.headers.get("action-id", [None])[0]

    def response(self) -> CreateCompletionResponse:
        """Return the text so far as a response, as `create` returns it."""
        return CreateCompletionResponse(
            completion_response=CompletionResponse(
                choices=[
                    CompletionGenerationChoice(text=self.text, finish_reason=self.finish_reason)
                ],
                usage=self.usage,
            ),
            status_code=self.status_code,
            content_type=self.content_type,
            headers=self.headers,
            make_raw_response=lambda: self._reply.raw_response,
            attempts=self.attempts,
            elapsed_s=time.monotonic() - self._reply.started,
            recorded_at=self._reply.recorded_at,
        )

    def close(self) -> None:
        """Close the connection; the rest of the text is lost."""
        self._chunks.close()
        self._reply.close()

    def _read(self) -> Generator[CompletionChunk]:
        try:
            if self.content_type.partition(";")[0].strip().lower() != EVENT_STREAM:
                with self._hints():
                    chunk = self._only_chunk()
                yield chunk
                return
            # JSON can escape a character as two surrogates, "\ud83d" and "\ude00", and a server can
            # send them in two events.
            halves = codecs.getincrementaldecoder("utf-16-le")("replace")
            for data in self._messages():
                with self._hints():
                    chunk = self._chunk_of(data)
                text = halves.decode(chunk.text.encode("utf-16-le", "surrogatepass"))
                yield chunk._replace(text=text)
            if rest := halves.decode(b"", final=True):
                yield CompletionChunk(rest)
        except sse.IncompleteEventError as error:
            if error.data != DONE:
                raise CutError("the stream ended in the middle of an event") from error
        except sse.OversizedEventError as error:
            raise BadAnswerError(f"the stream has an event that is too large: {error}") from error
        finally:
            self._reply.close()

    def _messages(self) -> Iterator[str]:
        """Yield the data of each event until `[DONE]`, or the end if that is allowed."""
        is_empty = True
        self._reply.restart_timeout()
        for event in sse.events(self._reply.chunks(), on_bad_bytes=self._reply.warn_not_utf8):
            if event.event == "error":
                raise self._failure(event.data)
            if event.event == "message":
                if event.data == DONE:
                    return
                is_empty = False
                yield event.data
                # Only now: the time that the caller took for the last event does not count.
                self._reply.restart_timeout()
        if self._api.ends_with_done:
            raise CutError("the stream ended without [DONE]")
        if is_empty:
            raise CutError("the stream ended without any text")

    def _only_chunk(self) -> CompletionChunk:
        """Return the complete answer of a server that does not stream as one chunk."""
        response = self._reply.read().parsed(self._api.read_completion)
        if not response.choices:
            raise BadAnswerError("the answer has no choices", hint="try again")
        first = response.choices[0]
        return CompletionChunk(first.text, first.finish_reason, response.usage)

    def _chunk_of(self, data: str) -> CompletionChunk:
        try:
            event = answer_json.read(data, self._reply.warn)
            has_text = isinstance(event, dict) and not {"value", "choices"}.isdisjoint(event)
            if not has_text and _failure_in(event) is not None:
                raise self._failure(data)
            return self._api.read_event(event)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            shown = cleaned_excerpt(self._reply.redacted(data))
            raise BadAnswerError(f"the stream has an event without text: {shown}") from error

    def _failure(self, data: str) -> SDKError:
        """Return the exception for an error event, the same as for an error answer."""
        event = unwrapped(json_object(data))
        if event is not None:
            data = json.dumps(event, ensure_ascii=False)
        described = _failure_in(event)
        failure = error_from_answer(
            500 if described is None else described.status_code,
            "application/json",
            self._reply.redacted(data),
            action_id=None if self.action_id is None else self._reply.redacted(self.action_id),
            raw_response=self._reply.raw_response,
        )
        failure.retryable = False
        return failure


def _failure_in(event: Any) -> Failure | None:
    """Return the error in an event, if it is an error event."""
    event = unwrapped(event)
    return read_failure(event) if isinstance(event, dict) else None
