"""A real HTTP server on a loopback socket that sends exactly the bytes that a test gives it."""

import json
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from types import TracebackType
from typing import Any, BinaryIO, Self

KEY = "secret-key-0123456789"


class Action(Enum):
    """What a script does besides sending bytes."""

    CLOSE = auto()  # close the connection normally
    RESET = auto()  # reset it, as a crash does
    HANG = auto()  # send nothing more until the client or the server closes


CLOSE, RESET, HANG = Action.CLOSE, Action.RESET, Action.HANG

Step = bytes | Action


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived: `raw` is every byte of it, header names are in lower case."""

    raw: bytes
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def line(self) -> str:
        """The first line: method, path and version."""
        return self.raw.partition(b"\r\n")[0].decode("latin-1")

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


Script = bytes | Iterable[Step] | Callable[[Received], bytes | Iterable[Step]]
"""An answer: its bytes, its steps, or a function that returns one of these for a request.

The steps may come from a generator, which sends a piece only when the test lets it go on.
"""


@dataclass
class Held:
    """An answer that waits: `arrived` is set when its request came, `release` sends it."""

    answer: bytes
    arrived: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def __call__(self, _: Received) -> bytes:
        """Wait, then return the answer."""
        self.arrived.set()
        assert self.release.wait(60)
        return self.answer


def http(
    status: int = 200,
    body: Any = b"",
    content_type: str | None = "application/json",
    *,
    length: int | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> bytes:
    """Write an answer; a body that is not bytes is sent as JSON; `length` is its Content-Length.

    Every answer has an `Action-Id`, as Writer's have.
    """
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unheard Of"
    lines = [f"HTTP/1.1 {status} {phrase}"]
    lines.append(f"Content-Length: {len(content) if length is None else length}")
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name}: {value}" for name, value in headers]
    if not any(line.startswith("Action-Id") for line in lines):
        lines.append("Action-Id: action-1")
    return "\r\n".join([*lines, "", ""]).encode() + content


def completion(*texts: str) -> bytes:
    """Write the answer of the enterprise API that holds these texts."""
    return http(200, {"choices": [{"text": text} for text in texts]})


def failure(status: int, *messages: dict[str, Any], tpe: str = "BadRequest") -> bytes:
    """Write a `FailResponse`."""
    return http(status, {"tpe": tpe, "errors": list(messages), "extras": None})


def chunked(
    *chunks: bytes, status: int = 200, content_type: str = "application/json", whole: bool = True
) -> list[Step]:
    """Write an answer in chunks, one per step; the last, empty chunk only if it is `whole`."""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"Content-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    steps: list[Step] = [head.encode()]
    steps += [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    return [*steps, b"0\r\n\r\n"] if whole else [*steps, CLOSE]


def dripped(*begin: bytes, piece: bytes) -> Callable[[Received], Iterator[Step]]:
    """Return an answer that sends a piece every 20 ms and never ends."""

    def script(_: Received) -> Iterator[Step]:
        yield from begin
        for _piece in range(1000):
            time.sleep(0.02)  # the server must be slow
            yield piece

    return script


class Server:
    """Answers the first request with the first script and so on, and all later ones as the last.

    It listens at `host`, which is `url` without the scheme. `requests` has the requests, and
    `connections` is the number of connections. A context manager.
    """

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self._scripts = scripts
        self._tls = tls
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stop, self._stopped = socket.socketpair()
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"

    @property
    def env(self) -> dict[str, str]:
        """The variables that send `writer` here, once, with a key."""
        return {
            "WRITER_BASE_URL": self.url,
            "WRITER_API_KEY": KEY,
            "WRITER_ORGANIZATION_ID": "7",
            "WRITER_MODEL_ID": "palmyra-x5",
            "WRITER_MAX_RETRIES": "0",
        }

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for script in self._scripts:
            if isinstance(script, Held):
                script.release.set()
        self._stop.close()  # this wakes the threads that wait for it
        for thread in self._threads:
            thread.join()
        self._listener.close()
        self._stopped.close()

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._stopped, selectors.EVENT_READ)
            while self._listener in [key.fileobj for key, _ in selector.select()]:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(60)  # so that a failing test ends
                self.connections += 1
                self._sockets.append(connection)
                self._start(self._serve, connection)
        for connection in self._sockets:
            _shut(connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                # The first of these closes the connection too, so `_accept` treats both alike.
                plain, connection = connection, self._tls.wrap_socket(connection, server_side=True)
                self._sockets[self._sockets.index(plain)] = connection
            with connection, connection.makefile("rb") as stream:
                while (request := _read(stream)) is not None:
                    if not self._answer(connection, request):
                        return
        except OSError:  # the client, or the test, has ended it
            connection.close()

    def _answer(self, connection: socket.socket, request: Received) -> bool:
        """Follow the script; return whether the connection stays open."""
        with self._lock:
            script = self._scripts[min(len(self.requests), len(self._scripts) - 1)]
            self.requests.append(request)
        steps = script(request) if callable(script) else script
        for step in [steps] if isinstance(steps, bytes) else steps:
            if isinstance(step, bytes):
                connection.sendall(step)
                continue
            if step is RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif step is HANG:
                connection.recv(1)
            return False
        return True


def _read(stream: BinaryIO) -> Received | None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return None
        head += line
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = stream.read(int(headers.get("content-length", "0")))
    return Received(head + body, method, target, headers, body)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it has been closed already
        connection.close()
