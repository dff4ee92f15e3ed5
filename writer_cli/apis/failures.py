"""Read the JSON of an error; servers send one of two shapes.

Writer sends `{"tpe", "errors": [{"description", "key", "extras"}], "extras"}`. Other servers and
gateways send OpenAI's shape `{"error": {"message", "type", "param", "code"}}`; some leave fields
out, or send a string in place of the object. Both shapes are read for every API, because a gateway
can stand in front of any of them.
"""

import json
import re
from typing import Any, NamedTuple

from writer_cli.errors import FailMessage

_STATUS_OF_TPE = {
    "BadRequest": 400,
    "Unauthorized": 401,
    "fail.auth": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "TooManyRequests": 429,
    "CompletionModelQuotaError": 429,
    "ServiceUnavailable": 503,
}


class Failure(NamedTuple):
    """An error as a server describes it.

    Attributes:
        tpe: The type of the error, in the server's words; empty if it sends none.
        errors: The reasons.
        extras: Further details of the server.
        status_code: The HTTP status that fits the error, for an error inside a stream; 500 if the
            type is unknown.
    """

    tpe: str
    errors: list[FailMessage]
    extras: Any
    status_code: int


def read_failure(body: dict[str, Any]) -> Failure | None:
    """Return the error in a JSON object, or None if it has neither of the two shapes."""
    if "tpe" in body or "errors" in body:
        messages = body.get("errors")
        tpe = _as_text(body.get("tpe") or "")
        errors = [_message(m) for m in messages] if isinstance(messages, list) else []
        return Failure(tpe, errors, body.get("extras"), _STATUS_OF_TPE.get(tpe, 500))
    error = body.get("error")
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return None
    return _as_openai(error)


def _message(item: Any) -> FailMessage:
    """Read one reason of an error, whatever its type."""
    if not isinstance(item, dict):
        return FailMessage(description=_as_text(item))
    key = item.get("key")
    return FailMessage(
        description=_as_text(item.get("description") or ""),
        key=None if key is None else _as_text(key),
        extras=item.get("extras"),
    )


def _as_openai(error: dict[str, Any]) -> Failure:
    code, param = error.get("code"), error.get("param")
    message = FailMessage(
        # One server sends messages of several lines.
        description=" ".join(_as_text(error.get("message") or "").split()),
        key=code if isinstance(code, str) else None,
        extras={"param": param, "code": code},
        field=_field_of(param) if isinstance(param, str) else None,
    )
    status_code = code if isinstance(code, int) and 400 <= code <= 599 else 500  # noqa: PLR2004
    return Failure(_as_text(error.get("type") or ""), [message], None, status_code)


def _field_of(param: str) -> str | None:
    """Return our name of the field that a server names, such as `body.temperature`."""
    from writer_cli.models import CompletionRequest

    first = param.removeprefix("body.").partition(".")[0]
    name = re.sub(r"(?<=[a-z])[A-Z]", lambda match: f"_{match[0].lower()}", first)
    name = {"seed": "random_seed", "model": "model_id"}.get(name, name)
    has_flag = {*CompletionRequest.model_fields, "model_id"} - {"prompt"}
    return name if name in has_flag else None


def _as_text(value: Any) -> str:
    """Return a text as it is, and as JSON what a server sent in the place of one."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
