"""TLS and proxies: which certificates are trusted, and which requests use a proxy."""

import shutil
import ssl
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

import writer_cli as writer
from tests.harness.servers import (
    CLOSE,
    Server,
    completion,
    http,
)
from tests.http.asking import KEY, STUDIO_HINT, ask


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an authority: `ca.pem`, and its `chain.pem` for 127.0.0.1."""
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
    """Return the TLS context of a server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "chain.pem")
    return context


def test_ssl_cert_file_names_whom_to_trust(
    authority: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificates in `SSL_CERT_FILE` are trusted, such as a company's own authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    with Server(completion("x"), tls=tls) as server:
        assert ask(server.url) == "x"


def test_ssl_cert_dir_names_whom_to_trust(
    authority: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The certificates in `SSL_CERT_DIR` are trusted, named by hash as openssl does."""
    subject = ["openssl", "x509", "-noout", "-hash", "-in", str(authority / "ca.pem")]
    name = subprocess.run(subject, check=True, capture_output=True, text=True).stdout.strip()
    shutil.copy(authority / "ca.pem", tmp_path / f"{name}.0")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    with Server(completion("x"), tls=tls) as server:
        assert ask(server.url) == "x"


def test_an_unknown_authority_is_a_network_error(tls: ssl.SSLContext) -> None:
    """No request, and so no key, is sent; the hint names `SSL_CERT_FILE`."""
    with Server(completion("x"), tls=tls) as server, pytest.raises(writer.NetworkError) as caught:
        ask(server.url)
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)
    assert caught.value.exit_code == 8
    assert caught.value.hint == (
        "if your network has its own certificate authority, set SSL_CERT_FILE=ca.pem; "
        + STUDIO_HINT
    )
    assert server.requests == []


def test_a_certificate_for_another_host_is_a_network_error(
    authority: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate of a trusted authority for another host is refused."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    with (
        Server(completion("x"), tls=tls) as server,
        pytest.raises(writer.NetworkError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        ask(server.url.replace("127.0.0.1", "localhost"))
    assert server.requests == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_unreadable_ssl_cert_file_is_a_configuration_error(
    content: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A missing file and one without certificates are configuration errors."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(writer.ConfigurationError, match=r"^SSL_CERT_FILE or SSL_CERT_DIR cannot"):
        ask("https://127.0.0.1:1")


def test_certifi_is_used_only_without_certificates_of_the_system(
    authority: Path, tls: ssl.SSLContext
) -> None:
    """The bundle of certifi is trusted only if the system has no directory of certificates."""
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


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_used(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is asked for a tunnel and never sees the key; its refusal is a network error."""
    with Server([http(407, b"who are you?"), CLOSE]) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        with pytest.raises(writer.NetworkError, match="407") as caught:
            ask("https://enterprise-api.writer.com")
    [request] = proxy.requests
    assert (request.method, request.target) == ("CONNECT", "enterprise-api.writer.com:443")
    assert KEY.encode() not in request.raw
    assert caught.value.hint == (
        f"the proxy comes from HTTPS_PROXY, ALL_PROXY and NO_PROXY; {STUDIO_HINT}"
    )


def test_no_proxy_makes_an_exception(
    authority: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host in `NO_PROXY` is called without the proxy."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    with Server([CLOSE]) as proxy, Server(completion("x"), tls=tls) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert ask(server.url) == "x"
    assert proxy.connections == 0


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_requests_to_this_machine_do_not_use_a_proxy(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request to this machine by plain http goes past the proxy, which could read the key."""
    with Server(completion("stolen")) as proxy, Server(completion("x")) as server:
        monkeypatch.setenv(variable, proxy.url)
        assert ask(server.url) == "x"
    assert proxy.connections == 0


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://127.0.0.1:1",
        "foo://user:hunter2@127.0.0.1",
        "http://[::1",
        "ftp://x",
        f"http://{'a' * 64}.example",  # no label of a host name may be so long
    ],
)
def test_an_invalid_proxy_is_a_configuration_error(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint names the variables, and the password of the proxy is not shown."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(writer.ConfigurationError, match=r"^the proxy in the env") as caught:
        ask("https://127.0.0.1:1")
    assert caught.value.hint == (
        "check HTTPS_PROXY, ALL_PROXY and NO_PROXY; a proxy looks like http://proxy.example:3128"
    )
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
