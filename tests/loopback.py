"""A server on loopback that answers with the bytes that a test scripts."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

KEY = "secret-key-0123456789"


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    head: str
    body: bytes

    @property
    def line(self) -> str:
        """The first line: method, path and version."""
        return self.head.partition("\r\n")[0]

    @property
    def headers(self) -> dict[str, str]:
        """The headers, their names in lower case."""
        lines = self.head.split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def json(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)


@dataclass
class Held:
    """An answer that waits: `arrived` says that its request came, `release` lets it go."""

    answer: bytes
    arrived: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> bytes:
        """Wait, then give the answer."""
        self.arrived.set()
        assert self.release.wait(60)
        return self.answer


Answer = bytes | Callable[[], bytes]


class Server:
    """Answers one request a connection, in turn; the last answer is repeated."""

    def __init__(self, answers: tuple[Answer, ...]) -> None:
        self.requests: list[Received] = []
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

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

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(60)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as received:
                head = b"".join(iter(received.readline, b"\r\n")).decode().removesuffix("\r\n")
                request = Received(head, b"")
                length = int(request.headers.get("content-length", 0))
                self.requests.append(Received(head, received.read(length)))
                answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
                try:
                    connection.sendall(answer if isinstance(answer, bytes) else answer())
                except OSError:
                    continue  # whoever asked is gone


@contextmanager
def answering(*answers: Answer) -> Iterator[Server]:
    """Start a server and stop it at the end."""
    server = Server(answers)
    try:
        yield server
    finally:
        for answer in answers:
            if isinstance(answer, Held):
                answer.release.set()
        server.close()


def http(status: int, body: Any, content_type: str = "application/json", **headers: str) -> bytes:
    """Write an HTTP answer; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {
        "Content-Type": content_type,
        "Content-Length": str(len(content)),
        "Connection": "close",
        "Action-Id": "action-1",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Scripted\r\n{head}\r\n".encode() + content


def completion(*texts: str) -> bytes:
    """Write the answer of the enterprise API that has these texts."""
    return http(200, {"choices": [{"text": text} for text in texts]})


def failure(status: int, *messages: dict[str, Any], tpe: str = "BadRequest") -> bytes:
    """Write a `FailResponse`."""
    return http(status, {"tpe": tpe, "errors": list(messages), "extras": None})
