"""Invalid TLS: certificates that are not trusted, and handshakes that never end."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.attacks.test_secrets import leaks
from tests.harness.program import writer
from tests.harness.servers import KEY, Server, completion

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")


class Certificate(NamedTuple):
    """The validity, the host and the trust of a certificate."""

    begin: str
    end: str
    names: str
    is_trusted: bool


PAST, NOW, FUTURE, END = "20190101000000Z", "20200101000000Z", "20900101000000Z", "20990101000000Z"
HERE = "IP:127.0.0.1"

CERTIFICATES = {
    "expired": (Certificate(PAST, NOW, HERE, is_trusted=True), "certificate has expired"),
    "not valid yet": (Certificate(FUTURE, END, HERE, is_trusted=True), "not yet valid"),
    "of another address": (Certificate(NOW, END, "IP:127.0.0.2", is_trusted=True), "mismatch"),
    "of a name like an address": (
        Certificate(NOW, END, "DNS:127.0.0.1", is_trusted=True),
        "mismatch",
    ),
    "of any name": (Certificate(NOW, END, "DNS:*", is_trusted=True), "mismatch"),
    "self-signed": (Certificate(NOW, END, HERE, is_trusted=False), "self-signed certificate"),
}
"""Certificates that are refused, and why."""

CONFIGURATION = """
[ca]
default_ca = here
[here]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = policy
x509_extensions = extensions
[policy]
commonName = supplied
[extensions]
subjectAltName = {names}
"""


def make_certificate(certificate: Certificate, place: Path) -> Path:
    """Make a self-signed certificate, and return the file with it and its key."""
    (place / "index").touch()
    (place / "serial").write_text("01")
    (place / "ca.cnf").write_text(CONFIGURATION.format(names=certificate.names))
    curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x"
    validity = f"-startdate {certificate.begin} -enddate {certificate.end}"
    sign = "-batch -config ca.cnf -selfsign -keyfile key.pem -in request.pem -notext"
    for line in (
        f"req {curve} -keyout key.pem -out request.pem",
        f"ca {sign} {validity} -out certificate.pem",
    ):
        subprocess.run(["openssl", *line.split()], cwd=place, check=True, capture_output=True)
    both = place / "both.pem"
    both.write_text((place / "key.pem").read_text() + (place / "certificate.pem").read_text())
    return both


@pytest.mark.parametrize("name", CERTIFICATES)
def test_an_untrusted_certificate_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 8 with the reason; no request, and so no key, is sent, and nothing is retried."""
    certificate, reason = CERTIFICATES[name]
    file = make_certificate(certificate, tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if certificate.is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with Server(completion("x"), tls=context) as server:
        ran = writer("complete", "p", env=server.env | {"WRITER_MAX_RETRIES": "2"})
    assert (ran.code, ran.output) == (8, "")
    assert "CERTIFICATE_VERIFY_FAILED" in ran.errors
    assert reason in ran.errors
    assert (server.requests, server.connections) == ([], 1)


HELLO = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03"
"""The header of a server's handshake message, with the length of the rest."""

HANDSHAKES: dict[str, tuple[bytes, bytes]] = {
    "nothing": (b"", b""),
    "the beginning": (HELLO, b""),
    "byte by byte": (HELLO, b"x"),
    "warnings without end": (b"", b"\x15\x03\x03\x00\x02\x01\x5a"),
}
"""A server's answer to the client's first message, and what it repeats afterwards."""


class Handshake(Server):
    """A server that announces TLS and then answers the handshake as the table says."""

    def __init__(self, name: str) -> None:
        super().__init__(b"")
        self.begin, self.piece = HANDSHAKES[name]
        self.received = b""
        self.url = self.url.replace("http:", "https:")

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self.received += connection.recv(65536)
            connection.sendall(self.begin)
            for piece in self._pieces():
                connection.sendall(piece)
            while piece := connection.recv(65536):
                self.received += piece

    def _pieces(self) -> Iterator[bytes]:
        for _ in range(200 if self.piece else 0):
            time.sleep(0.02)  # the server must be slow
            yield self.piece


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_handshake_that_does_not_end_is_given_up_on(name: str) -> None:
    """`--timeout` limits a handshake that never ends."""
    started = time.monotonic()
    with Handshake(name) as server:
        ran = writer("complete", "--timeout", "0.3", "p", env=server.env)
        took = time.monotonic() - started
    assert (ran.code, ran.output) == (8, ""), ran
    assert took < 4, ran  # the slowest of these servers takes longer
    assert leaks(server.received.decode("latin-1"), KEY) == []


NO_TLS = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a refusal": b"\x15\x03\x03\x00\x02\x02\x28",
    "zeros": bytes(64),
    "another protocol": b"SSH-2",
}
"""A server's answer to the first message of a handshake, before it closes the connection."""


@pytest.mark.parametrize("answer", NO_TLS)
def test_a_server_without_tls_is_a_network_error(answer: str) -> None:
    """If the server does not speak TLS, the exit code is 8."""

    class Other(Server):
        def _serve(self, connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(NO_TLS[answer])

    with Other(b"") as server:
        env = server.env | {"WRITER_BASE_URL": server.url.replace("http:", "https:")}
        ran = writer("complete", "p", env=env)
    assert (ran.code, ran.output) == (8, ""), ran
    assert "Traceback" not in ran.errors
