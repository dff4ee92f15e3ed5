"""The requests and responses of the sandbox, without I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request; the path is as it was sent, header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response, without the headers that depend on the transport.

    Attributes:
        status: The HTTP status.
        headers: The headers, by name in lower case.
        chunks: The body; a stream sends each chunk separately.
        is_stream: Whether the body is sent without a known length.
        is_late: Whether the first byte comes after the timeout of the client.
        is_cut: Whether the connection breaks after the last chunk, inside the body.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    chunks: tuple[bytes, ...] = ()
    is_stream: bool = False
    is_late: bool = False
    is_cut: bool = False

    @property
    def body(self) -> bytes:
        """All chunks of the body."""
        return b"".join(self.chunks)


class FailureError(Exception):
    """An error that the sandbox answers with, as Writer's JSON."""

    def __init__(self, status: int, tpe: str, key: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.tpe = tpe
        self.key = key

    def response(self) -> Response:
        """Return the error as a response."""
        message = {"description": str(self), "key": self.key, "extras": {}}
        document = {"tpe": self.tpe, "errors": [message], "extras": {}}
        return json_response(document, status=self.status)


def bad_request(description: str) -> FailureError:
    """Return the error for a request with invalid fields."""
    return FailureError(400, "BadRequest", "fail.badRequest.invalidParameters", description)


def refusal(status: int, description: str) -> FailureError:
    """Return the error for a request that is not valid HTTP for the API."""
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return FailureError(
            status, "InternalServerError", "fail.internalServerError.generic", description
        )
    return FailureError(status, "BadRequest", "fail.badRequest.invalidParameters", description)


def json_response(document: dict[str, Any], *, status: int = 200) -> Response:
    """Return a response with a JSON body."""
    return Response(status, {"content-type": "application/json"}, (as_json(document),))


def as_json(document: dict[str, Any]) -> bytes:
    """Return a document as compact JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )
