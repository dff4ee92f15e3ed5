import gzip
import json
import pickle
import shutil
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
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

KEY = "kW8-secret/with=signs"
STUDIO_HINT = "a key of AI Studio is for --api studio"
PATIENCE = 30.0
"""Seconds for what is to succeed."""


def ask(
    url: str, *, key: str = KEY, timeout: float = PATIENCE, deadline: float | None = None
) -> str:
    """Return the completion that an address gives."""
    limits: dict[str, Any] = {"timeout": timeout, "deadline": deadline, "max_retries": 0}
    with writer.Writer(key, 1, base_url=url, **limits) as client:
        response = client.completions.create(
            completion_request=writer.CompletionRequest(prompt="p"), model_id="m"
        )
    assert response.completion_response is not None
    return response.completion_response.choices[0].text


def failure(
    *scripts: Script, timeout: float = PATIENCE, deadline: float | None = None
) -> writer.WriterError:
    """Return the error that a server causes."""
    with Server(*scripts) as server, pytest.raises(writer.WriterError) as caught:
        ask(server.url, timeout=timeout, deadline=deadline)
    caught.value.message = caught.value.message.replace(server.host, "HOST")
    return caught.value


def test_a_request_is_what_the_description_says() -> None:
    """Method, path, headers and body; the key is in one header only."""
    with Server(completion("x")) as server:
        ask(server.url)
    [request] = server.requests
    assert (request.method, request.target) == ("POST", "/llm/organization/1/model/m/completions")
    assert request.body == b'{"prompt":"p"}'
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith(f"writer-cli/{writer.__version__} (Python 3.")
    assert request.raw.count(KEY.encode()) == 1


def test_a_path_of_the_address_is_kept() -> None:
    """A gateway may have the API below a path of its own."""
    with Server(completion("x")) as server:
        ask(server.url + "/gateway/")
    assert server.requests[0].target == "/gateway/llm/organization/1/model/m/completions"


def test_text_is_sent_as_utf8() -> None:
    """Not as escapes: a prompt in another script is no longer than it has to be."""
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
    """Each gets the answer to its own question."""

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
    """As a server sends it that does not know the length yet."""
    with Server(chunked(b'{"choices"', b':[{"text":', b'"x"}]}')) as server:
        assert ask(server.url) == "x"


def test_a_body_may_drip() -> None:
    """Byte by byte, with a character cut in two, it is the same."""
    raw = completion("é\u2028")
    with Server([raw[i : i + 1] for i in range(len(raw))]) as server:
        assert ask(server.url) == "é\u2028"


def test_a_byte_order_mark_is_no_part_of_the_json() -> None:
    """Some gateways put one there."""
    with Server(http(200, b'\xef\xbb\xbf{"choices":[{"text":"x"}]}')) as server:
        assert ask(server.url) == "x"


def test_a_compressed_answer_is_read() -> None:
    """The raw response has the text too."""
    body = gzip.compress(b'{"choices":[{"text":"x"}]}')
    packed = http(200, body, headers=[("Content-Encoding", "gzip")])
    with Server(packed) as server, writer.Writer(KEY, 1, base_url=server.url) as client:
        response = client.completions.create(
            completion_request=writer.CompletionRequest(prompt="p"), model_id="m"
        )
    assert response.raw_response.json() == {"choices": [{"text": "x"}]}


def bomb(_: Received) -> bytes:
    """Make 65 MiB of 65 kB."""
    body = gzip.compress(bytes(65 * 2**20), compresslevel=9)
    return http(200, body, headers=[("Content-Encoding", "gzip")])


def nested_bomb(_: Received) -> bytes:
    """Make a tebibyte, if anyone takes it, of some kilobytes."""
    body = gzip.compress(gzip.compress(bytes(2**20)))
    return http(200, body, headers=[("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")])


def endless(_: Received) -> Iterator[Step]:
    """Send a mebibyte for as long as it is taken."""
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    while True:
        yield bytes(2**20)


@pytest.mark.parametrize("deadline", [None, PATIENCE])
@pytest.mark.parametrize("script", [bomb, endless], ids=lambda script: script.__name__)
def test_the_size_of_an_answer_is_bounded(script: Script, deadline: float | None) -> None:
    """What is larger than 64 MiB once it is unpacked is not kept."""
    error = failure(script, deadline=deadline)
    assert (type(error), error.message) == (
        writer.BadAnswerError,
        "the answer is larger than 64 MiB",
    )


@pytest.mark.parametrize("deadline", [None, PATIENCE])
def test_an_answer_that_is_compressed_twice_is_refused(deadline: float | None) -> None:
    """Its size would be known too late."""
    error = failure(nested_bomb, deadline=deadline)
    assert (type(error), error.message) == (
        writer.BadAnswerError,
        "the answer is compressed more than once",
    )


def test_an_answer_that_cannot_be_unpacked_is_bad() -> None:
    """It says gzip and is not."""
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
    """Not even if what came is whole JSON."""
    error = failure(script)
    assert isinstance(error, writer.BadAnswerError)
    assert error.message.startswith("the answer from HOST was cut short: ")
    assert error.hint == "what came is incomplete: try again"


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
def test_without_an_answer_it_is_the_network(script: list[bytes | Action]) -> None:
    """The same call may succeed later."""
    error = failure(script)
    assert type(error) is writer.NetworkError
    assert (error.exit_code, error.retryable) == (8, True)
    assert error.message.startswith("no answer from HOST: ")


def test_where_nobody_listens_it_is_the_network() -> None:
    """The message says where that was, and the hint what to look at."""
    with Server() as server:
        url = server.url
    with pytest.raises(writer.NetworkError, match="Connection refused") as caught:
        ask(url)
    assert caught.value.hint == (
        f"is the network up, and the address right? `writer config check` shows it; {STUDIO_HINT}"
    )


@pytest.mark.parametrize(
    ("script", "message", "retryable"),
    [
        ([HANG], "no answer from HOST within 0.2 s", True),
        ([http(200, b"{", length=100), HANG], "HOST stopped answering for 0.2 s", False),
    ],
    ids=["no answer", "half an answer"],
)
def test_an_answer_that_does_not_come_in_time_is_a_timeout(
    script: Script, message: str, retryable: bool
) -> None:
    """It says how long it waited, and is a network error; half an answer has been paid for."""
    error = failure(script, timeout=0.2)
    assert type(error) is writer.RequestTimeoutError
    assert (error.message, error.retryable) == (message, retryable)
    assert error.hint == (
        "give it longer with --timeout SECONDS, or ask for less with --max-tokens; " + STUDIO_HINT
    )


def test_a_connection_that_is_not_made_in_time_is_a_timeout() -> None:
    """A TLS handshake that nobody answers counts as that."""
    with Server([HANG]) as server, pytest.raises(writer.RequestTimeoutError) as caught:
        ask(server.url.replace("http:", "https:"), timeout=0.2)
    assert str(caught.value) == f"no connection to {server.host} within 0.2 s"


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """The key would go along. The message says where it leads."""
    with Server(completion("stolen")) as thief:
        redirect = http(status, headers=[("Location", thief.url)])
        with Server(redirect) as server, pytest.raises(writer.BadAnswerError) as caught:
            ask(server.url)
    assert str(caught.value) == (
        f"HTTP {status}: the answer redirects to {thief.url}, "
        "and redirects are not followed: the key would go along"
    )
    assert thief.connections == 0
    assert len(server.requests) == 1


def test_a_redirect_to_nowhere_is_not_followed() -> None:
    """Without a `Location` there is none to show."""
    assert failure(http(302)).message.startswith("HTTP 302: the answer redirects to nowhere, ")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            http(200, b"<p>Log in</p>", "text/html; charset=utf-8"),
            "the answer is text/html; charset=utf-8 and not JSON: Log in",
        ),
        (http(200, b"x", None), "the answer is of no type and not JSON: x"),
        (http(204, b"", None), "the answer is of no type and not JSON: "),
        (http(200, b"{'a': 1}"), "the answer says that it is JSON and is not: {'a': 1}"),
        (http(200, b"\xff\xfe"), "the answer says that it is JSON and is not: \ufffd\ufffd"),
        (http(200, b"1" * 5000), "the answer says that it is JSON and is not: " + "1" * 199 + "…"),
        (
            http(200, b"[" * 100_000),
            "the answer says that it is JSON and is not: " + "[" * 199 + "…",
        ),
        (http(200, b"[1]"), "the answer is JSON and not an object: [1]"),
        (http(200, b"null"), "the answer is JSON and not an object: null"),
        (
            http(200, {"choices": 5}),
            'the answer is JSON, and not of the shape that was asked for: {"choices": 5}',
        ),
        (
            http(200, {"choices": [1]}),
            'the answer is JSON, and not of the shape that was asked for: {"choices": [1]}',
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
def test_an_answer_that_is_no_completion_is_bad(script: bytes, message: str | None) -> None:
    """The message says what it is instead."""
    error = failure(script)
    assert type(error) is writer.BadAnswerError
    assert error.exit_code == 9
    assert message is None or error.message == message
    assert error.message.startswith("the answer ")


@pytest.mark.parametrize("logprobs", ["x", 5, [1], {"tokens": 5}])
def test_a_text_outlives_logprobs_of_another_shape(logprobs: Any) -> None:
    """What was paid for is not lost."""
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
def test_a_host_that_cannot_be_looked_up_is_refused(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(writer.ConfigurationError, match=r"^base_url: '.*' is not an address: "):
        writer.Writer(KEY, 1, base_url=url)


# The key.


def echoes(text: str) -> list[bytes]:
    """Write answers that hold a text in every place that a message may quote."""
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
    """In no message, repr or body of an error, also where the key was pasted with its `Bearer`."""
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
    """An event that is an error, or no text, is quoted without it; its Action-Id too."""
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
    """Nor in the repr of anything that holds it."""
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
def test_a_key_is_in_nothing_that_can_be_kept(status: int) -> None:
    """The response refers to the request, and an error to the response; each may be pickled."""
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
    """Nothing at all is."""
    with Server(completion("x")) as server, pytest.raises(writer.ConfigurationError) as caught:
        ask(server.url, key=KEY + bad)
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    assert server.connections == 0


# TLS.


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where an authority is, `ca.pem`, and its certificate for 127.0.0.1, `chain.pem`."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl command")
    place = tmp_path_factory.mktemp("authority")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=place, check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    (place / "leaf.ext").write_text("subjectAltName=IP:127.0.0.1\n")
    ca = ["-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2"]
    openssl("req", "-x509", *curve, *ca, "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", *curve, "-subj", "/CN=server", "-keyout", "leaf.key", "-out", "leaf.csr")
    sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
    openssl("x509", "-req", "-in", "leaf.csr", *sign, "-extfile", "leaf.ext", "-out", "leaf.pem")
    key, leaf = (place / "leaf.key").read_text(), (place / "leaf.pem").read_text()
    (place / "chain.pem").write_text(key + leaf)
    return place


@pytest.fixture
def tls(authority: Path) -> ssl.SSLContext:
    """Return what a server of that authority needs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "chain.pem")
    return context


def test_ssl_cert_file_names_whom_to_trust(
    authority: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company's own authority works."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    with Server(completion("x"), tls=tls) as server:
        assert ask(server.url) == "x"


def test_ssl_cert_dir_names_whom_to_trust(
    authority: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A directory is one of hashed names, as openssl makes it."""
    subject = ["openssl", "x509", "-noout", "-hash", "-in", str(authority / "ca.pem")]
    name = subprocess.run(subject, check=True, capture_output=True, text=True).stdout.strip()
    shutil.copy(authority / "ca.pem", tmp_path / f"{name}.0")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    with Server(completion("x"), tls=tls) as server:
        assert ask(server.url) == "x"


def test_a_certificate_of_nobody_known_is_the_network(tls: ssl.SSLContext) -> None:
    """No request, and so no key, is sent; the hint names the variable."""
    with Server(completion("x"), tls=tls) as server, pytest.raises(writer.NetworkError) as caught:
        ask(server.url)
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)
    assert caught.value.exit_code == 8
    assert caught.value.hint == (
        "if your network has an authority of its own, name its file: SSL_CERT_FILE=ca.pem; "
        + STUDIO_HINT
    )
    assert server.requests == []


def test_a_certificate_of_another_name_is_the_network(
    authority: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who vouches is known, and it is for somebody else."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    with (
        Server(completion("x"), tls=tls) as server,
        pytest.raises(writer.NetworkError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        ask(server.url.replace("127.0.0.1", "localhost"))
    assert server.requests == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_unreadable_ssl_cert_file_is_the_configuration(
    content: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whether it is missing or is no such file."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(writer.ConfigurationError, match=r"^SSL_CERT_FILE or SSL_CERT_DIR cannot"):
        ask("https://127.0.0.1:1")


def test_without_a_directory_of_the_system_a_bundle_comes_along(
    authority: Path, tls: ssl.SSLContext
) -> None:
    """A machine without a directory of authorities trusts certifi's bundle, another does not."""
    program = """
import pathlib, sys
import certifi
import writer_cli as writer
url, certifi.where, directory = sys.argv[1], lambda: sys.argv[2], sys.argv[3:]
pathlib.Path.glob = lambda *_: map(pathlib.Path, directory)
try:
    with writer.Writer("k", 1, base_url=url) as client:
        client.completions.create(
            completion_request=writer.CompletionRequest(prompt="p"), model_id="m"
        )
    print("trusted")
except writer.NetworkError as error:
    print("CERTIFICATE_VERIFY_FAILED" in str(error))
"""
    seen = []
    with Server(completion("x"), tls=tls) as server:
        arguments = [sys.executable, "-c", program, server.url, str(authority / "ca.pem")]
        for directory in ([], ["12345678.0"]):
            done = subprocess.run(arguments + directory, check=True, capture_output=True, text=True)
            seen.append(done.stdout)
    assert seen == ["trusted\n", "True\n"]


# Proxies.


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_used(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for a tunnel and does not see the key; what it refuses is the network."""
    with Server([http(407, b"who are you?"), CLOSE]) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        with pytest.raises(writer.NetworkError, match="407") as caught:
            ask("https://enterprise-api.writer.com")
    [request] = proxy.requests
    assert (request.method, request.target) == ("CONNECT", "enterprise-api.writer.com:443")
    assert KEY.encode() not in request.raw
    assert caught.value.hint == (
        f"the proxy is taken from HTTPS_PROXY, ALL_PROXY and NO_PROXY; {STUDIO_HINT}"
    )


def test_no_proxy_makes_an_exception(
    authority: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host of `NO_PROXY` is asked directly."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    with Server([CLOSE]) as proxy, Server(completion("x"), tls=tls) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert ask(server.url) == "x"
    assert proxy.connections == 0


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_key_for_this_machine_does_not_go_by_a_proxy(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over plain http the proxy could read it."""
    with Server(completion("stolen")) as proxy, Server(completion("x")) as server:
        monkeypatch.setenv(variable, proxy.url)
        assert ask(server.url) == "x"
    assert proxy.connections == 0


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:1", "foo://user:hunter2@127.0.0.1", "http://[::1", "ftp://x"]
)
def test_a_proxy_that_cannot_be_used_is_the_configuration(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint names the variables; a password of the proxy is not shown."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(writer.ConfigurationError, match=r"^the proxy that the env") as caught:
        ask("https://127.0.0.1:1")
    assert caught.value.hint == (
        "look at HTTPS_PROXY, ALL_PROXY and NO_PROXY; a proxy looks like http://proxy.example:3128"
    )
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
