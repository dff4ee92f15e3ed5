"""Invalid HTTP: wrong lengths and framing, other protocols and encodings."""

import gzip
import traceback
import zlib

import pytest

import writer_cli as writer
from tests.harness.program import writer as run
from tests.harness.servers import CLOSE, HANG, KEY, Script, Server, Step, completion

REQUEST = writer.CompletionRequest(prompt="p")

BODY = b'{"choices":[{"text":"x"}]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: 26\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"


def announced(*fields: bytes, body: bytes = BODY) -> list[Step]:
    """Return an answer with these header fields that ends with the connection."""
    return [HEAD + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body, CLOSE]


def compressed(encoding: bytes, body: bytes) -> list[Step]:
    """Return an answer with this content encoding."""
    length = b"Content-Length: %d" % len(body)
    return announced(b"Content-Encoding: " + encoding, length, body=body)


ZIPPED = gzip.compress(BODY)

READ = {
    "two lengths that agree": announced(LENGTH[:-2], LENGTH[:-2]),
    "a length and chunks": announced(
        LENGTH[:-2], CHUNKED[:-2], body=b"1a\r\n" + BODY + b"\r\n0\r\n\r\n"
    ),
    "line feeds alone": [HEAD.replace(b"\r", b"") + LENGTH.replace(b"\r", b"") + b"\n" + BODY],
    "a folded header field": announced(b"X: a\r\n b", LENGTH[:-2]),
    "HTTP/1.0": [HEAD.replace(b"1.1", b"1.0") + b"\r\n" + BODY, CLOSE],
    "205 with a body": [HEAD.replace(b"200", b"205") + LENGTH + b"\r\n" + BODY],
    "an encoding that it has not": compressed(b"br", BODY),
    "an encoding that nobody knows": compressed(b"rot13", BODY),
    "gzip": compressed(b"GZIP", ZIPPED),
    "gzip with something after it": compressed(b"gzip", ZIPPED + b"more"),
    "deflate": compressed(b"deflate", zlib.compress(BODY)),
    "another charset": [HEAD.replace(b"json", b"json; charset=latin-1") + LENGTH + b"\r\n" + BODY],
    "a byte order mark": announced(b"Content-Length: 29", body=b"\xef\xbb\xbf" + BODY),
    "a key twice": announced(body=b'{"choices":[{"text":"y"}],"choices":[{"text":"x"}]}'),
}
"""Unusual HTTP that is read."""

NO_ANSWER = {
    "a negative length": announced(b"Content-Length: -1"),
    "a length that is a word": announced(b"Content-Length: abc"),
    "a length with a sign": announced(b"Content-Length: +26"),
    "a length of thirty digits": announced(b"Content-Length: " + b"9" * 30),
    "two lengths that differ": announced(LENGTH[:-2], b"Content-Length: 5"),
    "a list of lengths": announced(b"Content-Length: 5, 6"),
    "a transfer coding that is not chunked": announced(b"Transfer-Encoding: rot13"),
    "two transfer codings": announced(b"Transfer-Encoding: gzip, chunked"),
    "a head of 200,000 bytes": announced(b"X: " + b"x" * 200_000),
    "a head of 100,000 fields": announced(*[b"X: y"] * 100_000),
    "a header field without a colon": announced(b"nonsense", LENGTH[:-2]),
    "a header field with NUL": announced(b"X: \0", LENGTH[:-2]),
    "no head": [BODY, CLOSE],
    "HTTP/2": [HEAD.replace(b"/1.1", b"/2") + LENGTH + b"\r\n" + BODY, CLOSE],
    "frames of HTTP/2": [b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0", CLOSE],
    "another protocol": [b"SSH-2.0-OpenSSH_9.6\r\n", CLOSE],
    "a TLS alert": [b"\x15\x03\x01\0\x02\x02\x28", CLOSE],
    "status 000": [HEAD.replace(b"200", b"000") + LENGTH + b"\r\n" + BODY, CLOSE],
    "a status of four digits": [HEAD.replace(b"200", b"2000") + b"\r\n" + BODY, CLOSE],
    "a status that is a word": [b"HTTP/1.1 OK\r\n\r\n" + BODY, CLOSE],
    "an upgrade that nobody asked for": [UPGRADE, HANG],
}
"""Bytes that are no answer: exit code 8."""

BAD_ANSWER = {
    "a length that is too large": announced(b"Content-Length: 99"),
    "a length that is too small": announced(b"Content-Length: 5"),
    "a length of 0": announced(b"Content-Length: 0"),
    "a chunk of a size of 30 digits": announced(CHUNKED[:-2], body=b"f" * 30 + b"\r\n" + BODY),
    "a chunk of negative size": announced(CHUNKED[:-2], body=b"-1\r\n" + BODY),
    "a chunk without its end": announced(CHUNKED[:-2], body=b"1a\r\n" + BODY + b"XX0\r\n\r\n"),
    "204 with a body": [HEAD.replace(b"200", b"204") + LENGTH + b"\r\n" + BODY, CLOSE],
    "gzip that is none": compressed(b"gzip", BODY),
    "gzip that is cut": compressed(b"gzip", ZIPPED[:-12]),
    "gzip with a wrong sum": compressed(b"gzip", ZIPPED[:-8] + bytes(8)),
    "gzip of nothing": compressed(b"gzip", b""),
    "two types": announced(b"Content-Type: text/html", LENGTH[:-2]),
    "UTF-16": announced(body=BODY.decode().encode("utf-16")),
    "two documents": announced(body=BODY + BODY),
}
"""Bad answers: exit code 9."""


@pytest.mark.parametrize(
    ("attack", "script", "code"),
    [(attack, script, 0) for attack, script in READ.items()]
    + [(attack, script, 8) for attack, script in NO_ANSWER.items()]
    + [(attack, script, 9) for attack, script in BAD_ANSWER.items()],
    ids=[*READ, *NO_ANSWER, *BAD_ANSWER],
)
def test_invalid_http_is_read_or_refused(attack: str, script: Script, code: int) -> None:
    """The text is printed if it is certain; else there is one error and no output."""
    del attack  # the id of the test
    with Server(script) as server:
        ran = run("complete", "--quiet", "p", env=server.env)
    assert (ran.code, ran.output) == (code, "" if code else "x\n")
    lines = [line.split(":")[0] for line in ran.errors.splitlines()]
    assert lines == (["error", "hint"] if code else [])


def text_of(client: writer.Writer) -> str:
    """Return the text of a completion."""
    response = client.completions.create(completion_request=REQUEST, model_id="m")
    assert response.completion_response is not None
    return response.completion_response.choices[0].text


def test_a_second_answer_to_a_request_is_an_error() -> None:
    """A second answer to one request is an error, so that later answers are not shifted."""
    with (
        Server(completion("first") + completion("of another"), completion("second")) as server,
        writer.Writer(KEY, 7, base_url=server.url, max_retries=0) as client,
    ):
        assert text_of(client) == "first"
        with pytest.raises(writer.NetworkError) as caught:
            text_of(client)
        assert text_of(client) == "second"
    assert caught.value.message == f"{server.host} sent an answer that belongs to no request"
    assert caught.value.retryable
    assert server.connections == 2


@pytest.mark.parametrize(
    "script",
    [
        announced(KEY.encode()),
        announced(CHUNKED[:-2], body=KEY.encode() + b"\r\n"),
        announced(CHUNKED[:-2], body=b"1\r\nx" + KEY.encode()),
        [f"HTTP/1.1 {KEY}\r\n\r\n".encode(), CLOSE],
    ],
    ids=["a header field", "the size of a chunk", "the end of a chunk", "a status line"],
)
def test_a_key_in_bad_http_is_not_shown(script: Script) -> None:
    """The key is redacted where the HTTP library quotes what it cannot parse."""
    with (
        Server(script) as server,
        writer.Writer(KEY, 7, base_url=server.url, max_retries=0) as client,
        pytest.raises(writer.WriterError) as caught,
    ):
        client.completions.create(completion_request=REQUEST, model_id="m")
    assert KEY not in "".join(traceback.format_exception(caught.value))
