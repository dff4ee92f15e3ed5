"""One HTTP exchange: what is sent, and which answers are accepted."""

import gzip
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import writer_cli as writer
from tests.harness.servers import (
    CLOSE,
    HANG,
    RESET,
    Action,
    Received,
    Script,
    Server,
    Step,
    chunked,
    completion,
    http,
)
from tests.http.asking import KEY, PATIENCE, STUDIO_HINT, ask


def failure(
    *scripts: Script, timeout: float = PATIENCE, deadline: float | None = None
) -> writer.WriterError:
    """Return the error that a server causes."""
    with Server(*scripts) as server, pytest.raises(writer.WriterError) as caught:
        ask(server.url, timeout=timeout, deadline=deadline)
    caught.value.message = caught.value.message.replace(server.host, "HOST")
    return caught.value


def test_a_request_matches_the_description_of_the_api() -> None:
    """Method, path, headers and body are right, and the key is in one header only."""
    with Server(completion("x")) as server:
        ask(server.url)
    [request] = server.requests
    assert (request.method, request.target) == ("POST", "/llm/organization/1/model/m/completions")
    assert request.body == b'{"prompt":"p"}'
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "application/json"
    assert request.headers["accept-encoding"] == "gzip, deflate"
    assert request.headers["connection"] == "keep-alive"
    assert request.headers["user-agent"].startswith(f"writer-cli/{writer.__version__} (Python 3.")
    assert request.raw.count(KEY.encode()) == 1


def test_a_path_of_the_address_is_kept() -> None:
    """A path in the base URL, as of a gateway, comes before the path of the API."""
    with Server(completion("x")) as server:
        ask(server.url + "/gateway/")
    assert server.requests[0].target == "/gateway/llm/organization/1/model/m/completions"


def test_text_is_sent_as_utf8() -> None:
    """A prompt is sent as UTF-8 and not as JSON escapes, which are longer."""
    with Server(completion("x")) as server, writer.Writer(KEY, 1, base_url=server.url) as client:
        client.completions.create(
            completion_request=writer.CompletionRequest(prompt="é\u2028\U0001f600"), model_id="m"
        )
    assert server.requests[0].body == '{"prompt":"é\u2028\U0001f600"}'.encode()


def test_calls_share_a_connection_until_it_is_closed() -> None:
    """The client keeps a connection open, and opens a new one after `close`."""
    request = writer.CompletionRequest(prompt="p")
    with Server(completion("x")) as server, writer.Writer(KEY, 1, base_url=server.url) as client:
        for _ in range(2):
            client.completions.create(completion_request=request, model_id="m")
        assert server.connections == 1
        client.close()
        client.close()
        client.completions.create(completion_request=request, model_id="m")
        assert server.connections == 2


def test_threads_can_share_a_client() -> None:
    """Each thread gets the answer to its own prompt."""

    def echo(request: Received) -> bytes:
        return completion(request.json()["prompt"])

    answers: dict[str, str] = {}

    def work(client: writer.Writer, prompt: str) -> None:
        response = client.completions.create(
            completion_request=writer.CompletionRequest(prompt=prompt), model_id="m"
        )
        assert response.completion_response is not None
        answers[prompt] = response.completion_response.choices[0].text

    with Server(echo) as server, writer.Writer(KEY, 1, base_url=server.url) as client:
        threads = [threading.Thread(target=work, args=(client, f"p{n}")) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == {f"p{n}": f"p{n}" for n in range(8)}


def test_a_body_may_come_in_chunks() -> None:
    """An answer in chunked encoding is read."""
    with Server(chunked(b'{"choices"', b':[{"text":', b'"x"}]}')) as server:
        assert ask(server.url) == "x"


def test_a_body_may_come_byte_by_byte() -> None:
    """An answer that comes byte by byte is read, with a character cut in two."""
    raw = completion("é\u2028")
    with Server([raw[i : i + 1] for i in range(len(raw))]) as server:
        assert ask(server.url) == "é\u2028"


def test_a_byte_order_mark_is_no_part_of_the_json() -> None:
    """A byte order mark before the JSON, as of some gateways, is ignored."""
    with Server(http(200, b'\xef\xbb\xbf{"choices":[{"text":"x"}]}')) as server:
        assert ask(server.url) == "x"


def test_a_compressed_answer_is_read() -> None:
    """A compressed answer is decompressed, in the raw response too."""
    body = gzip.compress(b'{"choices":[{"text":"x"}]}')
    packed = http(200, body, headers=[("Content-Encoding", "gzip")])
    with Server(packed) as server, writer.Writer(KEY, 1, base_url=server.url) as client:
        response = client.completions.create(
            completion_request=writer.CompletionRequest(prompt="p"), model_id="m"
        )
    assert response.raw_response.json() == {"choices": [{"text": "x"}]}


def bomb(_: Received) -> bytes:
    """Return 65 MiB, compressed to 65 kB."""
    body = gzip.compress(bytes(65 * 2**20), compresslevel=9)
    return http(200, body, headers=[("Content-Encoding", "gzip")])


def nested_bomb(_: Received) -> bytes:
    """Return an answer that is compressed twice."""
    body = gzip.compress(gzip.compress(bytes(2**20)))
    return http(200, body, headers=[("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")])


def endless(_: Received) -> Iterator[Step]:
    """Send mebibytes as long as the client reads."""
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    while True:
        yield bytes(2**20)


@pytest.mark.parametrize("deadline", [None, PATIENCE])
@pytest.mark.parametrize("script", [bomb, endless], ids=lambda script: script.__name__)
def test_the_size_of_an_answer_is_bounded(script: Script, deadline: float | None) -> None:
    """An answer that is larger than 32 MiB after decompression is refused."""
    error = failure(script, deadline=deadline)
    assert (type(error), error.message) == (
        writer.BadAnswerError,
        "the answer is larger than 32 MiB",
    )


@pytest.mark.parametrize("deadline", [None, PATIENCE])
def test_an_answer_that_is_compressed_twice_is_refused(deadline: float | None) -> None:
    """Its size would be known only after the memory is used."""
    error = failure(nested_bomb, deadline=deadline)
    assert (type(error), error.message) == (
        writer.BadAnswerError,
        "the answer is compressed more than once",
    )


def test_an_answer_that_cannot_be_decompressed_is_a_bad_answer() -> None:
    """A body that is not gzip, though the header says so, is a bad answer."""
    error = failure(http(200, b"{}", headers=[("Content-Encoding", "gzip")]))
    assert isinstance(error, writer.BadAnswerError)
    assert error.message.startswith("the answer cannot be decompressed: ")


@pytest.mark.parametrize(
    "script",
    [
        [http(200, b'{"choices":[', length=100), CLOSE],
        [http(200, b'{"choices":[', length=100), RESET],
        chunked(b'{"choices":[{"text":"x"}]}', whole=False),
    ],
    ids=["short", "reset", "no last chunk"],
)
def test_an_answer_that_is_cut_short_is_not_kept(script: Script) -> None:
    """An answer that is cut is refused, even if the bytes so far are valid JSON."""
    error = failure(script)
    assert isinstance(error, writer.BadAnswerError)
    assert error.message.startswith("the answer from HOST was cut short: ")
    assert error.hint == "the answer is incomplete: try again"


@pytest.mark.parametrize(
    "script",
    [
        [CLOSE],
        [RESET],
        [b"HTTP/1.1 200 OK\r\nContent-", RESET],
        [b"\x00\xff garbage\r\n\r\n", CLOSE],
    ],
    ids=["closed", "reset", "reset in the head", "garbage"],
)
def test_no_answer_is_a_network_error(script: list[bytes | Action]) -> None:
    """If no answer comes, the error is a network error and may be retried."""
    error = failure(script)
    assert type(error) is writer.NetworkError
    assert (error.exit_code, error.retryable) == (8, True)
    assert error.message.startswith("no answer from HOST: ")


def test_a_refused_connection_is_a_network_error() -> None:
    """The message has the address, and the hint the setting to check."""
    with Server() as server:
        url = server.url
    with pytest.raises(writer.NetworkError, match="Connection refused") as caught:
        ask(url)
    assert caught.value.hint == (
        f"check the network and the base URL: `writer config check`; {STUDIO_HINT}"
    )


@pytest.mark.parametrize(
    ("script", "message", "retryable"),
    [
        ([HANG], "no answer from HOST within 0.2 s", True),
        (
            [http(200, b"{", length=100), HANG],
            "the answer from HOST did not continue within 0.2 s",
            False,
        ),
    ],
    ids=["no answer", "half an answer"],
)
def test_an_answer_that_does_not_come_in_time_is_a_timeout(
    script: Script, message: str, retryable: bool
) -> None:
    """The error has the timeout; it is not retried once a part of the answer has come."""
    error = failure(script, timeout=0.2)
    assert type(error) is writer.RequestTimeoutError
    assert (error.message, error.retryable) == (message, retryable)
    assert error.hint == (
        "allow more time with --timeout SECONDS, or ask for fewer tokens with --max-tokens; "
        + STUDIO_HINT
    )


def test_a_connection_that_is_not_made_in_time_is_a_timeout() -> None:
    """A TLS handshake without an answer is a timeout too."""
    with Server([HANG]) as server, pytest.raises(writer.RequestTimeoutError) as caught:
        ask(server.url.replace("http:", "https:"), timeout=0.2)
    assert str(caught.value) == f"no connection to {server.host} within 0.2 s"


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """A redirect is not followed, since the key would be sent along; the error names the target."""
    with Server(completion("stolen")) as thief:
        redirect = http(status, headers=[("Location", thief.url)])
        with Server(redirect) as server, pytest.raises(writer.BadAnswerError) as caught:
            ask(server.url)
    assert str(caught.value) == (
        f"HTTP {status}: the API redirects to {thief.url}; "
        "redirects are not followed, because the key would be sent there"
    )
    assert thief.connections == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            http(200, b"<p>Log in</p>", "text/html; charset=utf-8"),
            "the answer is text/html; charset=utf-8, not JSON: Log in",
        ),
        (http(200, b"x", None), "the answer is of unknown type, not JSON: x"),
        (http(204, b"", None), "the answer is of unknown type, not JSON: "),
        (http(200, b"{'a': 1}"), "the answer is declared as JSON but is not valid JSON: {'a': 1}"),
        (
            http(200, b"\xff\xfe"),
            "the answer is declared as JSON but is not valid JSON: \ufffd\ufffd",
        ),
        (
            http(200, b"1" * 5000),
            "the answer is JSON but not an object: " + "1" * 199 + "…",
        ),
        (
            http(200, b"[" * 100_000),
            "the answer is declared as JSON but is not valid JSON: " + "[" * 199 + "…",
        ),
        (http(200, b"[1]"), "the answer is JSON but not an object: [1]"),
        (http(200, b"null"), "the answer is JSON but not an object: null"),
        (
            http(200, {"choices": 5}),
            'the answer is JSON but does not have the expected fields: {"choices": 5}',
        ),
        (
            http(200, {"choices": [1]}),
            'the answer is JSON but does not have the expected fields: {"choices": [1]}',
        ),
        (http(200, {"choices": {"a": 1}}), None),
        (http(200, {"choices": [{}]}), None),
        (http(200, {"choices": [{"text": None}]}), None),
        (http(200, {"choices": [{"text": 5}]}), None),
        (http(200, {"choices": [[]]}), None),
        (http(200, {"choices": "x"}), None),
    ],
    ids=lambda value: value[-30:].decode(errors="replace") if isinstance(value, bytes) else "",
)
def test_an_answer_that_is_not_a_completion_is_a_bad_answer(
    script: bytes, message: str | None
) -> None:
    """The error says what the answer is instead of a completion."""
    error = failure(script)
    assert type(error) is writer.BadAnswerError
    assert error.exit_code == 9
    assert message is None or error.message == message
    assert error.message.startswith("the answer ")


@pytest.mark.parametrize("logprobs", ["x", 5, [1], {"tokens": 5}])
def test_a_text_outlives_logprobs_of_another_shape(logprobs: Any) -> None:
    """If only the log probabilities have the wrong shape, the text is returned."""
    with Server(http(200, {"choices": [{"text": "x", "logprobs": logprobs}]})) as server:
        assert ask(server.url) == "x"


@pytest.mark.parametrize(
    "url",
    [
        "https://a..b",
        "https://.",
        pytest.param(
            "https://xn--zzzz",
            marks=pytest.mark.skipif(
                httpx.__name__ == "httpx2", reason="httpx2 lets the look-up decide"
            ),
        ),
        "https://\u2603.localhost",
        f"https://{'a' * 64}.localhost",
    ],
)
def test_an_invalid_host_name_is_refused(url: str) -> None:
    """A host name that DNS cannot have is refused before anything is sent."""
    with pytest.raises(writer.ConfigurationError, match=r"^base_url: '.*' is not a valid URL: "):
        writer.Writer(KEY, 1, base_url=url)
