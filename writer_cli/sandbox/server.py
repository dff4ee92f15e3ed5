"""The sandbox as a server on a port, for clients of all its APIs."""

import json
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any, TextIO

from writer_cli import __version__
from writer_cli.errors import UsageError
from writer_cli.redaction import redact
from writer_cli.sandbox.messages import FailureError, Request, Response, refusal
from writer_cli.sandbox.respond import Sandbox, action_id

LATE_DELAY = 600.0
"""Seconds before the first byte of a late answer, longer than any client waits."""

LARGEST_BODY = 64 * 1024 * 1024
"""Bytes of a request body at most."""

CLOSE_TIMEOUT = 1.0
"""Seconds to wait for open connections when the server closes, or refuses a request."""


class SandboxServer:
    """A server; it listens when the object is created, until `close`.

    Args:
        sandbox: The sandbox that answers.
        host: The address to listen on.
        port: The port; 0 lets the system choose.
        latency: Seconds before each answer.
        log: A file to which each request and its answer are appended, as JSON lines without the
            key.

    Raises:
        UsageError: The server cannot listen on the address, or cannot write the log.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        latency: float = 0.0,
        log: Path | None = None,
    ) -> None:
        self._log: TextIO | None = None
        self._log_lock = threading.Lock()
        self.closing = threading.Event()
        self.sandbox = sandbox
        self.latency = latency
        try:
            self._server = _Server((host, port), self)
        except (OSError, UnicodeError, TypeError) as error:
            raise UsageError(
                f"cannot listen on --host {host} --port {port}: {error}",
                hint="--port 0 lets the system choose",
            ) from error
        try:
            if log is not None:
                self._log = log.open("a", encoding="utf-8")
        except OSError as error:
            self._server.server_close()
            raise UsageError(f"--log {log}: {error.strerror}", hint="name a file") from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The URL for clients on this machine."""
        host, port = self._server.server_address[:2]
        shown = _REACHABLE_AS.get(str(host), str(host))
        return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"

    def close(self) -> None:
        """Stop listening, and close all connections."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        self._thread.join()
        with self._log_lock, suppress(OSError):
            if self._log is not None:
                log, self._log = self._log, None
                log.close()

    def record(self, request: Request, response: Response) -> None:
        """Append a line to the log, if there is one. Raises `OSError` if that fails."""
        authorization = request.headers.get("authorization", "")
        key = authorization.rpartition(" ")[2]
        line = {
            "time": datetime.now(UTC).isoformat(),
            "method": request.method,
            "path": redact(request.path, key),
            "authorization": "[redacted]" if authorization else None,
            "request": _readable(request.body, key),
            "status": response.status,
            "action_id": response.headers.get("action-id"),
            "response": _readable(response.body, key),
            "cut": response.is_cut,
            "late": response.is_late,
        }
        with self._log_lock:
            if self._log is not None:
                self._log.write(json.dumps(line, ensure_ascii=False) + "\n")
                self._log.flush()


_REACHABLE_AS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - translated for clients, not listened on
"""Addresses that only a server can use, and those for its clients."""


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], owner: SandboxServer) -> None:
        self.owner = owner
        self.breaking: set[socket.socket] = set()
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in its own thread, and remember the connection."""
        with self._changed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, or reset it if its answer is to be cut."""
        if request in self.breaking:
            self.breaking.discard(request)
            self.close_request(request)
        else:
            super().shutdown_request(request)
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()

    def hang_up(self) -> None:
        """Shut down all connections."""
        with self._changed:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._connections, CLOSE_TIMEOUT)

    def handle_error(self, *_: Any) -> None:
        """Print nothing when a client disconnects."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An invalid request gets a complete answer, not one of HTTP/0.9.
    default_request_version = "HTTP/1.0"
    server_version = f"writer-sandbox/{__version__}"
    # Without these two, Nagle's algorithm and delayed acknowledgements add 40 ms to each answer.
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 60  # seconds for each part of a request: a client that stalls holds a thread
    server: _Server

    def _answer(self) -> None:
        owner = self.server.owner
        try:
            request = self._read()
        except FailureError as failure:
            self._refuse(failure)
            return
        owner.closing.wait(owner.latency)
        response = owner.sandbox.respond(request)
        try:
            owner.record(request, response)
        except OSError as error:
            self.send_error(500, f"--log: {error.strerror}")
            return
        if response.is_late and not self._still_there_after(LATE_DELAY):
            self.close_connection = True
            return
        self._write(response)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _answer  # noqa: N815 - the names of the library

    def _read(self) -> Request:
        """Read the request. Raises `FailureError` if the length of its body is not valid."""
        if self.headers.get("Transfer-Encoding"):
            raise refusal(411, "the body needs a Content-Length")
        length = self.headers.get("Content-Length", "0").lstrip("0") or "0"
        if not length.isdecimal():
            raise refusal(400, "Content-Length: not a number")
        if len(length) > len(str(LARGEST_BODY)) or int(length) > LARGEST_BODY:
            raise refusal(413, f"the body is larger than {LARGEST_BODY // 2**20} MiB")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise refusal(400, "the body is shorter than its Content-Length")
        return Request(
            method=self.command,
            path=self.requestline.split()[1],  # as it was sent; `self.path` drops a double slash
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )

    def send_error(self, code: int, message: str | None = None, _: str | None = None) -> None:
        """Answer an invalid request with an error in the API's JSON."""
        self._refuse(refusal(code, message or HTTPStatus(code).phrase))

    def _refuse(self, failure: FailureError) -> None:
        """Send an error, and close the connection: the rest of the request is not read."""
        response = failure.response()
        headers = {"action-id": action_id(self.requestline), "connection": "close"}
        self._write(replace(response, headers=response.headers | headers))
        # Read on for a moment: closing a connection with unread data would discard the answer.
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(CLOSE_TIMEOUT)
        ends = time.monotonic() + CLOSE_TIMEOUT
        while time.monotonic() < ends and self.connection.recv(65536):
            pass

    def _write(self, response: Response) -> None:
        is_chunked = response.is_stream and self.request_version != "HTTP/1.0"
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name.title(), value)
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif not response.is_stream:
            # A cut body has a longer Content-Length than it sends.
            self.send_header("Content-Length", str(len(response.body) + response.is_cut))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        for chunk in response.chunks if self.command != "HEAD" else ():
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if is_chunked else chunk)
            self.wfile.flush()
        if is_chunked and not response.is_cut:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        if response.is_cut:
            self._cut()

    def _cut(self) -> None:
        """Reset the connection, after the sent data had time to arrive."""
        self.server.owner.closing.wait(0.05)
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.server.breaking.add(self.connection)
        self.close_connection = True

    def _still_there_after(self, seconds: float) -> bool:
        """Wait, and return whether the client is still connected."""
        self.connection.settimeout(seconds)
        try:
            # Readable means closed: a client sends no second request before the answer.
            self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        return False

    def log_message(self, *_: Any) -> None:
        """Print nothing; `--log` writes a log."""


def _readable(body: bytes, key: str) -> str:
    return redact(body.decode("utf-8", "replace"), key)
