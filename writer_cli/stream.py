"""A text that is still being generated, chunk by chunk."""

import json
import time
from collections.abc import Generator, Iterator
from typing import Any, Self

from writer_cli import sse
from writer_cli.apis import EVENT_STREAM, Api, read_chunk
from writer_cli.connection import Reply
from writer_cli.errors import (
    BadAnswerError,
    CutError,
    SDKError,
    cleaned_excerpt,
    error_from_answer,
    is_fail_response,
    status_in_stream,
)
from writer_cli.models import (
    CompletionChunk,
    CompletionGenerationChoice,
    CompletionResponse,
    CreateCompletionResponse,
)

DONE = "[DONE]"


class CompletionStream:
    """An iterator of chunks that closes its connection at its end, and at the end of a `with`.

    `text` is what has come so far. While it is iterated it raises `CutError` where the connection
    breaks or the last event is incomplete, `SDKError` or `FailResponse` where the API says inside
    the stream that it failed, and `RequestTimeoutError` where it stops answering.

    Sources: the two published descriptions for the shape of an event, the WHATWG standard for
    events, and Writer's SDK for `[DONE]`. A stream may also simply end.
    """

    def __init__(self, reply: Reply, api: Api) -> None:
        self.status_code = reply.status_code
        self.content_type = reply.content_type
        self.headers = reply.headers
        self.attempts = reply.attempts
        self.text = ""
        self._reply = reply
        self._api = api
        self._chunks = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[CompletionChunk]:
        return self

    def __next__(self) -> CompletionChunk:
        chunk = CompletionChunk(next(self._chunks))
        self.text += chunk.text
        return chunk

    @property
    def action_id(self) -> str | None:
        """Writer's id of the request, from the `Action-Id` header; what support asks for."""
        return self.headers.get("action-id", [None])[0]

    def response(self) -> CreateCompletionResponse:
        """Return what has come so far in the form of an answer that came whole."""
        return CreateCompletionResponse(
            completion_response=CompletionResponse(
                choices=[CompletionGenerationChoice(text=self.text)]
            ),
            status_code=self.status_code,
            content_type=self.content_type,
            headers=self.headers,
            raw_response=self._reply.raw_response,
            attempts=self.attempts,
            elapsed_s=time.monotonic() - self._reply.started,
        )

    def close(self) -> None:
        """Close the connection; the rest of the text will not come."""
        self._chunks.close()
        self._reply.close()

    def _read(self) -> Generator[str]:
        try:
            if self.content_type.partition(";")[0].strip().lower() != EVENT_STREAM:
                yield self._whole_text()
                return
            for event in sse.events(self._reply.chunks()):
                if event.event == "error":
                    raise self._failure(event.data)
                if event.event != "message":
                    continue
                if event.data == DONE:
                    return
                yield self._text_of(event.data)
        except sse.IncompleteEventError as error:
            if error.data != DONE:
                raise CutError("the stream ended in the middle of an event") from error
        except sse.OversizedEventError as error:
            raise BadAnswerError(f"the stream has an event that is too large: {error}") from error
        finally:
            self._reply.close()

    def _whole_text(self) -> str:
        """Read the answer of a server that does not stream: it is a stream of one."""
        answer = self._reply.read()
        choices = answer.parsed(self._api.read_completion).choices
        if not choices:
            raise BadAnswerError("the answer has no choices", hint="try again")
        return choices[0].text

    def _text_of(self, data: str) -> str:
        try:
            parsed = json.loads(data)
            if isinstance(parsed, dict) and is_fail_response(parsed):
                raise self._failure(data)
            return read_chunk(parsed)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            shown = cleaned_excerpt(self._reply.redacted(data))
            raise BadAnswerError(f"the stream has an event that is no text: {shown}") from error

    def _failure(self, data: str) -> SDKError:
        """Read an event that is an error as the same error that an answer would be."""
        try:
            parsed: Any = json.loads(data)
        except (ValueError, RecursionError):
            parsed = None
        status = status_in_stream(parsed) if isinstance(parsed, dict) else 500
        failure = error_from_answer(
            status,
            "application/json",
            self._reply.redacted(data),
            action_id=None if self.action_id is None else self._reply.redacted(self.action_id),
            raw_response=self._reply.raw_response,
        )
        failure.retryable = False
        return failure
