"""The API key is sent where it must be, and shown nowhere."""

import json
import pickle
import traceback

import httpx
import pytest

import writer_cli as writer
from tests.harness.servers import (
    RESET,
    Script,
    Server,
    completion,
    http,
)
from tests.http.asking import KEY, ask


def echoes(text: str) -> list[bytes]:
    """Return answers that contain a text in every place that a message may quote."""
    fail = {"tpe": text, "errors": [{"description": text, "key": text, "extras": text}]}
    return [
        http(401, fail, headers=[("Action-Id", text)]),
        http(500, fail),
        http(502, f"<h1>{text}</h1>".encode(), "text/html"),
        http(200, f"<h1>{text}</h1>".encode(), "text/html"),
        http(200, b"", f"text/{text}"),
        http(200, text.encode()),
        http(200, json.dumps([text]).encode()),
        http(200, {"choices": [text]}),
        http(302, headers=[("Location", f"https://evil.example/?{text}")]),
    ]


@pytest.mark.parametrize("prefix", ["", "Bearer "])
@pytest.mark.parametrize("place", range(9))
def test_a_key_that_the_server_repeats_is_not_shown(prefix: str, place: int) -> None:
    """The key is redacted in the message, repr and body of an error, also with `Bearer`."""
    script = echoes(f"your key is {KEY}.")[place]
    with Server(script) as server, pytest.raises(writer.WriterError) as caught:
        ask(server.url, key=prefix + KEY)
    error = caught.value
    shown = f"{error} {error!r} {error.as_dict()} {getattr(error, 'body', '')}"
    assert "secret" not in shown
    assert "[redacted]" in shown


@pytest.mark.parametrize("prefix", ["", "Bearer "])
@pytest.mark.parametrize(
    "event",
    [
        "data: your key is {key}",
        'data: {{"no": "{key}"}}',
        'event: error\ndata: {{"tpe": "{key}", "errors": [{{"description": "{key}"}}]}}',
        "event: error\ndata: {key}",
    ],
)
def test_a_key_that_a_stream_repeats_is_not_shown(prefix: str, event: str) -> None:
    """The key is redacted where an error quotes an event or an Action-Id."""
    body = event.format(key=KEY).encode() + b"\n\n"
    head = [("Action-Id", KEY)]
    script = http(200, body, "text/event-stream", headers=head)
    request = writer.CompletionRequest(prompt="p")
    with (
        Server(script) as server,
        writer.Writer(prefix + KEY, 1, base_url=server.url) as client,
        client.completions.stream(completion_request=request, model_id="m") as stream,
        pytest.raises(writer.WriterError) as caught,
    ):
        next(stream)
    shown = f"{caught.value} {caught.value!r} {caught.value.as_dict()}"
    assert "secret" not in shown
    assert "[redacted]" in shown


@pytest.mark.parametrize("script", [[RESET], http(401, b"{}"), http(200, b"")])
def test_a_key_is_in_no_traceback(script: Script) -> None:
    """The key is in no traceback and in no repr of the client and its parts."""
    with (
        Server(script) as server,
        writer.Writer(KEY, 1, base_url=server.url, max_retries=0) as client,
    ):
        with pytest.raises(writer.WriterError) as caught:
            client.completions.create(
                completion_request=writer.CompletionRequest(prompt="p"), model_id="m"
            )
        shown = [*traceback.format_exception(caught.value)]
        shown += map(repr, (client, client.connection, client.completions))
        shown.append(repr(getattr(caught.value, "raw_response", None)))
    assert "secret" not in "".join(shown)


@pytest.mark.parametrize("status", [200, 401])
def test_a_pickled_response_does_not_contain_the_key(status: int) -> None:
    """A response refers to its request, and neither contains the key when it is pickled."""
    body = b'{"choices":[{"text":"x"}]}'
    raw: httpx.Response | None
    with Server(http(status, body)) as server, writer.Writer(KEY, 1, base_url=server.url) as client:
        try:
            raw = client.completions.create(
                completion_request=writer.CompletionRequest(prompt="p"), model_id="m"
            ).raw_response
        except writer.SDKError as error:
            raw = error.raw_response
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert raw is not None
    assert raw.request.url == f"{server.url}{server.requests[0].target}"
    assert b"secret" not in pickle.dumps(raw)


@pytest.mark.parametrize("bad", ["\n", "\r\nX: y", "\x00", " ", "é"])
def test_a_key_that_cannot_be_sent_is_not_sent(bad: str) -> None:
    """With a key that no header can carry, no connection is opened."""
    with Server(completion("x")) as server, pytest.raises(writer.ConfigurationError) as caught:
        ask(server.url, key=KEY + bad)
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    assert server.connections == 0
