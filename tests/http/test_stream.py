"""The fields of a stream: what its events have beside the text."""

import json
import time
from collections.abc import Generator
from contextlib import nullcontext
from typing import Any

import httpx
import pytest

from writer_cli import apis
from writer_cli.apis.access import ApiName
from writer_cli.errors import BadAnswerError, CutError, SDKError, WriterError
from writer_cli.http.reply import Reply
from writer_cli.http.stream import CompletionStream


def opened(
    *events: Any, api: ApiName = "openai", kind: str = "text/event-stream"
) -> CompletionStream:
    """Return a stream of these events; a text is sent as it is, anything else as JSON."""

    def pieces() -> Generator[httpx.Response | bytes]:
        yield httpx.Response(200, headers={"Content-Type": kind, "Action-Id": "the key"})
        for event in events:
            data = event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n"
            yield data.encode()

    def redacted(text: str) -> str:
        return text.replace("key", "[redacted]")

    reply = Reply(pieces(), redacted, began=time.monotonic(), timeout=30)
    reply.attempts = 2
    return CompletionStream(reply, apis.get(api), nullcontext)


def failure(*events: Any, **options: Any) -> WriterError:
    """Return the error that ends a stream."""
    with pytest.raises(WriterError) as caught:
        list(opened(*events, **options))
    return caught.value


def chunk(text: str, **fields: Any) -> dict[str, Any]:
    """Return an event of a server of your own."""
    return {"choices": [{"text": text, **fields}]}


END = "data: [DONE]\n\n"


def test_the_last_reason_and_usage_are_kept() -> None:
    """An event without them does not take them away."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    stream = opened(
        chunk("a", finish_reason="length"),
        chunk("b") | {"usage": usage},
        chunk("c"),
        END,
        chunk("d"),
    )
    assert [piece.text for piece in stream] == ["a", "b", "c"]
    assert stream.finish_reason == "length"
    assert stream.usage is not None
    response = stream.response()
    assert response.completion_response is not None
    [choice] = response.completion_response.choices
    assert (choice.text, choice.finish_reason) == ("abc", "length")
    assert response.completion_response.usage is stream.usage
    assert (stream.usage.total_tokens, response.attempts) == (3, 2)
    assert 0 <= response.elapsed_s < 30


@pytest.mark.parametrize(
    ("events", "options", "kind", "message"),
    [
        ([chunk("a")], {}, CutError, "the stream ended without [DONE]"),
        ([": c\n\n"], {"api": "studio"}, CutError, "the stream ended without any text"),
        (["data: {"], {}, CutError, "the stream ended in the middle of an event"),
        ([{"no": "key"}], {}, BadAnswerError, 'the stream has an event without text: {"no": "[red'),
        (
            ['{"choices": []}'],
            {"kind": "application/json"},
            BadAnswerError,
            "the answer has no choices",
        ),
    ],
)
def test_a_stream_that_cannot_be_read_has_its_message(
    events: list[Any], options: dict[str, Any], kind: type[WriterError], message: str
) -> None:
    """The error has the attempts of the request."""
    error = failure(*events, **options)
    assert type(error) is kind
    assert error.message.startswith(message)
    assert error.attempts == 2


def test_an_end_mark_without_its_blank_line_is_an_end() -> None:
    """A server that closes the connection at once after `[DONE]` has sent everything."""
    assert [piece.text for piece in opened(chunk("a"), "data: [DONE]")] == ["a"]


def test_an_error_within_a_stream_has_the_fields_of_an_error() -> None:
    """It has the status of its type, the text so far, and is not tried again."""
    for event in ({"tpe": "TooManyRequests", "errors": ["key"]}, {"error": {"code": 429}}):
        wrapped = f"event: error\ndata: {json.dumps({'data': event})}\n\n"
        for sent in (event, wrapped):
            error = failure(chunk("so far"), sent)
            assert isinstance(error, SDKError)
            assert (error.status_code, error.retryable, error.text) == (429, False, "so far")
            assert (error.action_id, error.content_type) == ("the [redacted]", "application/json")
            assert "key" not in error.body
    error = failure("event: error\ndata: é key\n\n")
    assert isinstance(error, SDKError)
    assert (error.status_code, error.body) == (500, "é [redacted]")


def test_other_events_are_ignored() -> None:
    """An event with another name is no part of the text."""
    stream = opened("event: ping\ndata: {}\n\n", chunk("a"), END)
    assert [piece.text for piece in stream] == ["a"]
