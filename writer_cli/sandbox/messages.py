"""What goes into the sandbox and what comes out of it, without any I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request: the path as it was sent, header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response; `headers` leave out what depends on the transport.

    Attributes:
        status: The HTTP status.
        headers: By name in lower case.
        chunks: The body; a stream sends it chunk by chunk.
        is_stream: Whether the length of the body is not known when it begins.
        is_late: The first byte comes when no client waits for it any more.
        is_cut: The connection breaks after the last chunk, in the middle of the body.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    chunks: tuple[bytes, ...] = ()
    is_stream: bool = False
    is_late: bool = False
    is_cut: bool = False

    @property
    def body(self) -> bytes:
        """The whole body, as far as it is sent."""
        return b"".join(self.chunks)


class FailureError(Exception):
    """A request that gets a `FailResponse`."""

    def __init__(self, status: int, tpe: str, key: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.tpe = tpe
        self.key = key

    def response(self) -> Response:
        """Return the answer that it is."""
        message = {"description": str(self), "key": self.key, "extras": {}}
        document = {"tpe": self.tpe, "errors": [message], "extras": {}}
        return json_response(document, status=self.status)


def bad_request(description: str) -> FailureError:
    """Refuse a request whose fields are wrong."""
    return FailureError(400, "BadRequest", "fail.badRequest.invalidParameters", description)


def refusal(status: int, description: str) -> FailureError:
    """Refuse what is no request that the API could answer."""
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return FailureError(
            status, "InternalServerError", "fail.internalServerError.generic", description
        )
    return FailureError(status, "BadRequest", "fail.badRequest.invalidParameters", description)


def json_response(document: dict[str, Any], *, status: int = 200) -> Response:
    """Answer with JSON."""
    return Response(status, {"content-type": "application/json"}, (as_json(document),))


def as_json(document: dict[str, Any]) -> bytes:
    """Return a document in as few bytes as it needs."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )
