"""The sandbox as a transport of the HTTP library: the same code path, without a socket."""

import time
from collections.abc import Iterator

import httpx

from writer_cli.sandbox.messages import Request, Response
from writer_cli.sandbox.respond import Sandbox


class SandboxTransport(httpx.BaseTransport):
    """Answers every request in this process."""

    def __init__(self) -> None:
        self._sandbox = Sandbox()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request; a late answer waits until the client's timeout."""
        response = self._sandbox.respond(
            Request(
                method=request.method,
                path=request.url.raw_path.decode(),
                headers={name.lower(): value for name, value in request.headers.items()},
                body=request.read(),
            )
        )
        if response.is_late:
            time.sleep(request.extensions["timeout"]["read"])
            raise httpx.ReadTimeout("the sandbox is late, as it was asked to be", request=request)
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response, request)
        )


class _Body(httpx.SyncByteStream):
    def __init__(self, response: Response, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.chunks
        if self._response.is_cut:
            raise httpx.ReadError("the sandbox cut it, as it was asked to", request=self._request)
