"""A certificate authority of our own, put where each contender looks for authorities by default.

Programs that trust certifi find it at the end of certifi's bundle; those that trust the system find
it in a copy of the system's directory. So TLS costs each contender as much as without any settings.
"""

import shutil
import subprocess
from pathlib import Path

from bench.environments import PLACE as ENVIRONMENTS

PLACE = ENVIRONMENTS / "authority"
SYSTEM = PLACE / "system"


def make(environments: dict[str, Path]) -> None:
    """Make the authority and the server's certificate once, and install the authority."""
    if not (PLACE / "server.pem").exists():
        shutil.rmtree(PLACE, ignore_errors=True)
        SYSTEM.mkdir(parents=True)
        _make_certificates()
    own = (PLACE / "ca.pem").read_text()
    for environment in environments.values():
        for bundle in environment.glob("lib/python*/site-packages/certifi/cacert.pem"):
            if own not in bundle.read_text():
                with bundle.open("a") as file:
                    file.write(own)


def _make_certificates() -> None:
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    _openssl(
        *("req", "-x509", *curve, "-days", "3650", "-subj", "/CN=benchmark authority"),
        *("-addext", "keyUsage=critical,keyCertSign", "-keyout", "ca.key", "-out", "ca.pem"),
    )
    request = ["-subj", "/CN=127.0.0.1", "-keyout", "server.key", "-out", "server.csr"]
    _openssl("req", *curve, *request)
    (PLACE / "extensions").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
    for certificate in Path("/etc/ssl/certs").glob("*.pem"):
        shutil.copy(certificate, SYSTEM)
    shutil.copy(PLACE / "ca.pem", SYSTEM)
    _openssl("rehash", str(SYSTEM))
    _openssl(
        *("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
        *("-CAcreateserial", "-days", "3650", "-extfile", "extensions", "-out", "server.pem"),
    )


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, cwd=PLACE, capture_output=True)
