"""Which servers to trust."""

import os
import ssl
from functools import cache
from pathlib import Path

from writer_cli.errors import ConfigurationError


def trust(*, plain: bool) -> ssl.SSLContext:
    """Return what a TLS connection checks a server with, built once for all of them.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` decide, else the system's directory, which has the company's
    authorities and is looked up as needed, else the bundle that comes along. For a plain address
    none is needed, and an empty one trusts nobody.
    """
    return _context(plain, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _context(plain: bool, file: str | None, directory: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if plain:
        return context
    if file or directory:
        try:
            context.load_verify_locations(cafile=file or None, capath=directory or None)
        except OSError as error:
            raise ConfigurationError(
                f"SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error}",
                hint="SSL_CERT_FILE is a file of certificates in PEM form",
            ) from error
        return context
    for system in (ssl.get_default_verify_paths().capath, "/etc/ssl/certs"):
        if system and any(Path(system).glob("*.0")):
            context.load_verify_locations(capath=system)
            return context
    import certifi

    context.load_verify_locations(cafile=certifi.where())
    return context
