"""The sandbox as a transport of the HTTP library: no socket, everything else as usual."""

import httpx

from writer_cli.sandbox.respond import Request, respond


class SandboxTransport(httpx.BaseTransport):
    """Answers every request with `respond`."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        response = respond(
            Request(
                method=request.method,
                path=request.url.raw_path.decode(),
                headers={name.lower(): value for name, value in request.headers.items()},
                body=request.read(),
            )
        )
        return httpx.Response(response.status, headers=response.headers, content=response.body)
