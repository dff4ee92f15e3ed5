"""Reading what the API says about a failure: an answer, or an event of a stream."""

import json
from typing import TYPE_CHECKING, Any

from writer_cli.apis.failures import Failure, read_failure
from writer_cli.errors import FailResponse, SDKError, described

if TYPE_CHECKING:
    import httpx

_DOCUMENTED_STATUSES = frozenset({400, 401, 403, 404, 500})


def error_from_answer(
    status_code: int,
    content_type: str,
    body: str,
    *,
    action_id: str | None = None,
    retry_after: float | None = None,
    raw_response: "httpx.Response | None" = None,
) -> SDKError:
    """Read an answer with a status of 400 to 599 as the error that it is.

    JSON under 400, 401, 403, 404 and 500 is a `FailResponse`, as the SDK documents it. A JSON body
    of that shape is one under any other status too, 429 in practice. Everything else is an
    `SDKError`. No body makes this fail.
    """
    parsed = _json_object(body) if is_json(content_type) else None
    failure = None if parsed is None else read_failure(parsed)
    if failure is None and parsed is not None and status_code in _DOCUMENTED_STATUSES:
        failure = Failure("", [], parsed.get("extras"), status_code)
    if failure is not None:
        error: SDKError = FailResponse(
            tpe=failure.tpe,
            errors=failure.errors,
            extras=failure.extras,
            status_code=status_code,
            body=body,
            raw_response=raw_response,
            action_id=action_id,
        )
    else:
        message = described(status_code, body)
        error = SDKError(message, status_code, body, raw_response, action_id=action_id)
    error.content_type = content_type
    error.retry_after = retry_after
    return error


def is_json(content_type: str) -> bool:
    """Whether a `Content-Type` header names JSON, parameters aside (RFC 6839 for `+json`)."""
    essence = content_type.partition(";")[0].strip().lower()
    return essence == "application/json" or essence.endswith("+json")


def _json_object(body: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None
