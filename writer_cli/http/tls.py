"""TLS: which certificates are trusted."""

import os
import ssl
from functools import cache
from pathlib import Path

from writer_cli.errors import ConfigurationError


def ssl_context(*, plain: bool) -> ssl.SSLContext:
    """Return the context that verifies servers; one context is shared by all connections.

    The trusted certificates come from `SSL_CERT_FILE` and `SSL_CERT_DIR`, else from the system's
    directory, which contains company authorities and is read only as needed, else from certifi.
    With `plain`, for http URLs, the context is empty: it trusts no server.
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
                hint="SSL_CERT_FILE must be a file of certificates in PEM format",
            ) from error
        return context
    for system in (ssl.get_default_verify_paths().capath, "/etc/ssl/certs"):
        if system and any(Path(system).glob("*.0")):
            context.load_verify_locations(capath=system)
            return context
    import certifi

    context.load_verify_locations(cafile=certifi.where())
    return context
