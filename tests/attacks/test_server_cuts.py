"""A valid answer, cut at each byte: the result is an error, and never a complete text.

`ATTACKS=all`, which `make attacks` sets, tries every byte; the test suite tries some of them.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

import writer_cli as writer
from tests.attacks.strides import sample
from tests.harness.servers import CLOSE, KEY, RESET, Action, Received, Server, Step
from writer_cli.apis.access import ApiName

REQUEST = writer.CompletionRequest(prompt="p")
TEXT = 'a "b" \u00e9 \U0001f600'
"""A text with characters that JSON escapes, and with characters of two and four bytes."""

CUTS = 9
"""The number of cuts that the test suite tries in each answer."""


def body(api: ApiName, *, streams: bool) -> bytes:
    """Return a valid body in a dialect."""
    if not streams:
        return json.dumps({"choices": [{"text": TEXT}]}, ensure_ascii=False).encode()
    halves = [TEXT[:6], TEXT[6:]]
    if api == "openai":
        events = [json.dumps({"choices": [{"text": half}]}) for half in halves]
        return "".join(f"data: {data}\n\n" for data in [*events, "[DONE]"]).encode()
    events = [json.dumps({"value": half}, ensure_ascii=False) for half in halves]
    return "".join(f"data: {data}\n\n" for data in events).encode()


def with_framing(content: bytes, framing: str, *, streams: bool) -> bytes:
    """Return an answer whose body ends by its length, by its last chunk, or with the connection."""
    kind = "text/event-stream" if streams else "application/json"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n"
    if framing == "length":
        return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
    if framing == "close":
        return f"{head}\r\n".encode() + content
    chunks = [content[i : i + 16] for i in range(0, len(content), 16)]
    sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + sent + b"0\r\n\r\n"


def outcome(client: writer.Writer, *, streams: bool) -> tuple[str, writer.WriterError | None]:
    """Return the text that came, and the error that ended it."""
    text = ""
    try:
        if streams:
            for chunk in client.completions.stream(completion_request=REQUEST, model_id="m"):
                text += chunk.text
        else:
            response = client.completions.create(completion_request=REQUEST, model_id="m")
            assert response.completion_response is not None
            text = response.completion_response.choices[0].text
    except writer.WriterError as error:
        return text, error
    return text, None


def looks_complete(
    content: bytes, api: ApiName, framing: str, how: Action, *, streams: bool
) -> bool:
    """Whether a cut cannot be noticed: it is between two events of a stream without an end mark.

    A body that ends with the connection has no length, and these two APIs have no end mark.
    """
    is_silent = framing == "close" and how is CLOSE and api != "openai"
    return is_silent and streams and content.endswith(b"\n\n")


@pytest.mark.parametrize("how", [CLOSE, RESET])
@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("api", ["enterprise", "studio", "openai"])
def test_an_answer_that_is_cut_is_an_error(
    api: ApiName, framing: str, how: Action, *, streams: bool
) -> None:
    """Exit code 8 before an answer begins, else 9; a stream's text so far is returned."""
    content = body(api, streams=streams)
    whole = with_framing(content, framing, streams=streams)
    head = whole.index(b"\r\n\r\n") + 4
    place = 0

    def script(_: Received) -> Iterator[Step]:
        yield whole[:place]
        yield how

    options: dict[str, Any] = {"api": api, "max_retries": 0, "timeout": 30}
    with (
        Server(script) as server,
        writer.Writer(KEY, 7, base_url=server.url, **options) as client,
    ):
        for place in sample(range(len(whole)), CUTS, first=len(framing) + len(api)):
            text, error = outcome(client, streams=streams)
            assert TEXT.startswith(text)
            if error is None:
                is_known = looks_complete(whole[head:place], api, framing, how, streams=streams)
                assert is_known or text == TEXT, whole[:place]
                continue
            assert error.exit_code in {8, 9}
            assert error.exit_code == 9 or place < head or how is RESET
            assert streams or text == ""
        place = len(whole)
        assert outcome(client, streams=streams)[0] == TEXT or how is RESET
