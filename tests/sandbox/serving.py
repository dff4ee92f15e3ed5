"""Talk to the sandbox on a port, byte by byte."""

import json
import socket

from writer_cli.sandbox.server import SandboxServer

PATIENCE = 60
"""Seconds after which a test gives up waiting."""


KEY = "k-made-up-0123456789"


REQUEST = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"


def connect(server: SandboxServer) -> socket.socket:
    """Open a connection."""
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE)


def exchange(server: SandboxServer, sent: bytes | str) -> bytes:
    """Send bytes and return what comes until the server closes."""
    with connect(server) as connection:
        connection.sendall(sent.encode() if isinstance(sent, str) else sent)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Return everything that comes until the connection is closed or reset."""
    return read_until_end(connection)[0]


def read_until_end(connection: socket.socket) -> tuple[bytes, bool]:
    """Return everything that comes, and whether the connection was reset."""
    came = b""
    try:
        while piece := connection.recv(65536):
            came += piece
    except ConnectionResetError:
        return came, True
    return came, False


def post(model: str, *, stream: bool = False, prompt: str = "The", length: int = 0) -> bytes:
    """Write a completion request of the studio API."""
    fields = {"model": model, "prompt": prompt, "max_tokens": 20, "stream": stream}
    body = json.dumps(fields).encode()
    head = (
        "POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Length: {length or len(body)}\r\n\r\n"
    )
    return head.encode() + body


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return the status, the headers by name in lower case, and the body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}, body


def is_serving(server: SandboxServer) -> bool:
    """Whether the server answers a request."""
    status, _, _ = parsed(exchange(server, REQUEST + "Connection: close\r\n\r\n"))
    return status == 200
