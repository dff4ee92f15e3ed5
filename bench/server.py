"""The loopback server that everything is measured against: a fixed answer, as fast as asyncio can.

    python -m bench.server DIRECTORY

It serves http, and https with the certificate of `DIRECTORY` if there is one, writes their two
ports as JSON to standard output, and ends when its standard input does. One process, no request is
parsed further than its path, its `Content-Length` and whether it asks for a stream.

A chunk of a stream is the time, by the monotonic clock that all processes share, at which it was
handed to the kernel: what a client prints says how long it kept it.
"""

import asyncio
import json
import ssl
import sys
import time
from pathlib import Path

TEXT = "there was a princess who lived in a castle by the sea."
"""The text of every completion."""

CHUNKS = 5
CHUNK_INTERVAL = 0.2
"""How many chunks a stream has, and the seconds between two of them."""

_HEAD_END = b"\r\n\r\n"


def _answer(body: object) -> bytes:
    content = json.dumps(body).encode()
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nAction-Id: bench\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


_ENTERPRISE = _answer({"choices": [{"text": TEXT}]})
_STUDIO = _answer({"choices": [{"text": TEXT}], "model": "m"})
_CHAT = _answer(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": TEXT},
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 12, "total_tokens": 13},
    }
)
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


class _Exchange(asyncio.Protocol):
    """One connection, with one request after the other."""

    def __init__(self) -> None:
        self._received = b""
        self._streaming: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while self._answer_one():
            pass

    def _answer_one(self) -> bool:
        """Answer the request, if it has arrived completely."""
        head_end = self._received.find(_HEAD_END)
        if head_end < 0:
            return False
        head = self._received[:head_end]
        start = head.lower().find(b"\r\ncontent-length:")
        length = 0
        if start >= 0:
            length = int(head[start + 17 :].partition(b"\r\n")[0])
        end = head_end + len(_HEAD_END) + length
        if len(self._received) < end:
            if b"100-continue" in head:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return False
        path = head.split(b" ", 2)[1]
        self._received = self._received[end:]
        if path.endswith(b"/stream"):
            self._streaming = asyncio.ensure_future(self._stream())
        elif path.endswith(b"/chat/completions"):
            self._transport.write(_CHAT)
        elif path == b"/v1/completions":
            self._transport.write(_STUDIO)
        elif path.endswith(b"/completions"):
            self._transport.write(_ENTERPRISE)
        else:
            self._transport.write(_NOT_FOUND)
        return bool(self._received)

    async def _stream(self) -> None:
        """Send head and first chunk together, so that the client cannot prepare in between."""
        start = _STREAM_HEAD
        for _ in range(CHUNKS):
            now = time.monotonic()
            event = b'data: {"value": "%.6f\\n"}\n\n' % now
            self._transport.write(start + b"%x\r\n%b\r\n" % (len(event), event))
            start = b""
            await asyncio.sleep(CHUNK_INTERVAL)
        self._transport.write(b"0\r\n\r\n")


async def _serve(directory: Path) -> None:
    loop = asyncio.get_running_loop()
    ports = {}
    http = await loop.create_server(_Exchange, "127.0.0.1", 0, backlog=1024)
    ports["http"] = http.sockets[0].getsockname()[1]
    if (directory / "server.pem").exists():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "server.pem", directory / "server.key")
        https = await loop.create_server(_Exchange, "127.0.0.1", 0, backlog=1024, ssl=context)
        ports["https"] = https.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
