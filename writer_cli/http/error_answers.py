"""Turn an error answer, or an error event of a stream, into an exception."""

from typing import TYPE_CHECKING, Any

from writer_cli.apis.failures import Failure, read_failure
from writer_cli.errors import FailResponse, SDKError, status_message
from writer_cli.http import answer_json

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
    """Return the exception for an answer with a status of 400 to 599.

    A JSON body with status 400, 401, 403, 404 or 500 becomes a `FailResponse`, as the SDK
    documents it. With any other status, such as 429, it does so if it has one of the known error
    shapes. Everything else becomes an `SDKError`. An unreadable body raises nothing.
    """
    parsed = json_object(body) if is_json(content_type) else None
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
        message = status_message(status_code, body)
        error = SDKError(message, status_code, body, raw_response, action_id=action_id)
    error.content_type = content_type
    error.retry_after = retry_after
    return error


def is_json(content_type: str) -> bool:
    """Whether a `Content-Type` header means JSON; `+json` types do too (RFC 6839)."""
    essence = content_type.partition(";")[0].strip().lower()
    return essence == "application/json" or essence.endswith("+json")


def json_object(body: str) -> dict[str, Any] | None:
    """Return the JSON object that an error's body is, or None.

    What cannot be read in it is left out, without a warning: an error is shown as far as it can be.
    """

    def ignore(_: str) -> None:
        return

    try:
        # Its values are shown as they are, so no value may be too deep to be written again.
        parsed = answer_json.read(body, ignore)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
