"""The sandbox on a port, for any client of either API."""

import json
import select
import socket
import struct
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TextIO

from writer_cli import __version__
from writer_cli.errors import UsageError, redact
from writer_cli.sandbox.messages import Request, Response
from writer_cli.sandbox.respond import Sandbox

LATE = 600.0
"""Seconds before the first byte of an answer that comes too late; nobody waits that long."""

LARGEST_BODY = 64 * 1024 * 1024
"""Bytes of a request."""


class SandboxServer:
    """A server that is ready once it is made, and answers until it is closed.

    Args:
        sandbox: What answers.
        host: The address to listen on.
        port: The port; 0 lets the system choose.
        latency: Seconds before each answer.
        log: Where each request and its answer go, as JSON lines without the key.

    Raises:
        UsageError: The address cannot be listened on, or the log cannot be written.
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
            if log is not None:
                self._log = log.open("a", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--log {log}: {error.strerror}", hint="name a file") from error
        try:
            self._server = _Server((host, port), self)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"--host {host} --port {port} cannot be listened on: {error}",
                hint="--port 0 lets the system choose",
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        """The address, as a client wants it."""
        host, port = self._server.server_address[:2]
        shown = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"http://{shown}:{port}"

    def close(self) -> None:
        """Stop listening, and end what is still being answered."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self._log is not None:
            self._log.close()

    def record(self, request: Request, response: Response) -> None:
        """Write a line to the log, if there is one."""
        if self._log is None:
            return
        authorization = request.headers.get("authorization", "")
        key = authorization.rpartition(" ")[2]
        line = {
            "time": datetime.now(UTC).isoformat(),
            "method": request.method,
            "path": request.path,
            "authorization": "[redacted]" if authorization else None,
            "request": _readable(request.body, key),
            "status": response.status,
            "action_id": response.headers.get("action-id"),
            "response": _readable(response.body, key),
            "cut": response.is_cut,
            "late": response.is_late,
        }
        with self._log_lock:
            self._log.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._log.flush()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], owner: SandboxServer) -> None:
        self.owner = owner
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def handle_error(self, *_: Any) -> None:
        """Say nothing: a client that goes away is its own business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = f"writer-sandbox/{__version__}"
    # Without these two, an answer waits 40 ms for an acknowledgement that waits for an answer.
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def _answer(self) -> None:
        owner = self.server.owner
        request = self._read()
        if request is None:
            return
        if owner.latency:
            owner.closing.wait(owner.latency)
        response = owner.sandbox.respond(request)
        owner.record(request, response)
        if response.is_late and not self._still_there_after(LATE):
            self.close_connection = True
            return
        self._write(response)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer  # noqa: N815 - as the library calls them

    def _read(self) -> Request | None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self.send_error(413)
            return None
        if self.headers.get("Transfer-Encoding"):
            self.send_error(411)
            return None
        return Request(
            method=self.command,
            path=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)),
        )

    def _write(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name.title(), value)
        if not response.is_stream:
            # A body that is cut announces more than it has.
            self.send_header("Content-Length", str(len(response.body) + response.is_cut))
            self.end_headers()
            self.wfile.write(response.body)
        else:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in response.chunks:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                self.wfile.flush()
            if not response.is_cut:
                self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        if response.is_cut:
            self._cut()

    def _cut(self) -> None:
        """Reset the connection, once what was sent has had time to arrive."""
        time.sleep(0.05)
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def _still_there_after(self, seconds: float) -> bool:
        """Wait, and return whether the client waited too."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self.server.owner.closing.is_set():
            if select.select([self.connection], [], [], 0.05)[0]:
                return False  # it hung up; nobody sends a second request before the answer
        return not self.server.owner.closing.is_set()

    def log_message(self, *_: Any) -> None:
        """Say nothing; `--log` is for that."""


def _readable(body: bytes, key: str) -> str:
    return redact(body.decode("utf-8", "replace"), key)
