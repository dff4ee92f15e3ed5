"""A complete HTTP answer, and the parsing of its JSON body."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from writer_cli.errors import BadAnswerError
from writer_cli.http import answer_json
from writer_cli.http.error_answers import is_json
from writer_cli.redaction import cleaned_excerpt

if TYPE_CHECKING:
    import httpx

_Parsed = TypeVar("_Parsed")


@dataclass(kw_only=True, eq=False)
class Answer:
    """A complete answer: status, headers, body, and how many attempts it took."""

    status_code: int
    content_type: str
    headers: dict[str, list[str]]
    text: str
    raw_response: "Callable[[], httpx.Response]" = field(repr=False)
    """Creates the HTTP library's response object; a function because few callers need it."""

    redacted: Callable[[str], str] = field(repr=False)
    """Removes the key from text that a message quotes."""

    warn: Callable[[str], None] = field(repr=False)
    """Told what of the answer cannot be read and is left out."""

    attempts: int = 1
    elapsed_s: float = 0.0
    recorded_at: str | None = None
    """When the answer was recorded, where it comes from a recording."""

    @property
    def action_id(self) -> str | None:
        """Writer's id of the request, from the `Action-Id` header."""
        return self.headers.get("action-id", [None])[0]

    def parsed(self, read: Callable[[dict[str, Any]], _Parsed]) -> _Parsed:
        """Parse the JSON body with `read`. Raises `BadAnswerError` if that fails."""
        try:
            return read(self.json_object())
        except BadAnswerError as error:
            error.attempts = self.attempts
            raise
        except (ValidationError, TypeError, AttributeError, KeyError) as error:
            unexpected = BadAnswerError(
                f"the answer is JSON but does not have the expected fields: {self._excerpt()}"
            )
            unexpected.attempts = self.attempts
            raise unexpected from error

    def json_object(self) -> dict[str, Any]:
        """Return the body as a JSON object. Raises `BadAnswerError`."""
        if not is_json(self.content_type):
            error = BadAnswerError(
                f"the answer is {self.redacted(self.content_type) or 'of unknown type'}, "
                f"not JSON: {self._excerpt()}"
            )
            error.content_type = self.content_type
            raise error
        try:
            parsed = answer_json.read(self.text, self.warn)
        except answer_json.TooManyValuesError as error:
            raise BadAnswerError(f"the answer has {error}") from error
        except ValueError as error:
            raise BadAnswerError(
                f"the answer is declared as JSON but is not valid JSON: {self._excerpt()}"
            ) from error
        if not isinstance(parsed, dict):
            raise BadAnswerError(f"the answer is JSON but not an object: {self._excerpt()}")
        return parsed

    def _excerpt(self) -> str:
        return cleaned_excerpt(self.redacted(self.text))
