"""An HTTP answer that was read to its end, and reading the JSON in it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from writer_cli.errors import BadAnswerError
from writer_cli.http.error_answers import is_json
from writer_cli.redaction import cleaned_excerpt

if TYPE_CHECKING:
    import httpx

_Parsed = TypeVar("_Parsed")


@dataclass(kw_only=True, eq=False)
class Answer:
    """What came, and how it came."""

    status_code: int
    content_type: str
    headers: dict[str, list[str]]
    text: str
    raw_response: "Callable[[], httpx.Response]" = field(repr=False)
    """Makes the HTTP library's own object with the body: few ask for it, and it takes time."""

    redacted: Callable[[str], str] = field(repr=False)
    """Takes the key out of what a message quotes."""

    attempts: int = 1
    elapsed_s: float = 0.0

    @property
    def action_id(self) -> str | None:
        """Writer's id of the request."""
        return self.headers.get("action-id", [None])[0]

    def parsed(self, read: Callable[[dict[str, Any]], _Parsed]) -> _Parsed:
        """Return the body as `read` reads it. Raises `BadAnswerError` where it cannot be."""
        try:
            return read(self.json_object())
        except BadAnswerError as error:
            error.attempts = self.attempts
            raise
        except (ValidationError, TypeError, AttributeError, KeyError) as error:
            misshapen = BadAnswerError(
                f"the answer is JSON, and not of the shape that was asked for: {self._excerpt()}"
            )
            misshapen.attempts = self.attempts
            raise misshapen from error

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object. Raises `BadAnswerError`."""
        if not is_json(self.content_type):
            error = BadAnswerError(
                f"the answer is {self.redacted(self.content_type) or 'of no type'} "
                f"and not JSON: {self._excerpt()}"
            )
            error.content_type = self.content_type
            raise error
        try:
            parsed = json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise BadAnswerError(
                f"the answer says that it is JSON and is not: {self._excerpt()}"
            ) from error
        if not isinstance(parsed, dict):
            raise BadAnswerError(f"the answer is JSON and not an object: {self._excerpt()}")
        return parsed

    def _excerpt(self) -> str:
        return cleaned_excerpt(self.redacted(self.text))
