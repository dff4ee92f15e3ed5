"""The exceptions, each with its exit code and a hint.

WriterError
├── UsageError                an invalid value; nothing was sent
├── ConfigurationError        no key, no organization id, an unreadable file; nothing was sent
├── NetworkError              no answer: connection refused or reset, TLS
│   └── RequestTimeoutError   no answer in time
│       └── DeadlineError     ... before the deadline for all attempts together
├── BadAnswerError            an answer that does not match the API description
│   └── CutError              ... because it ended too early
├── NotRecordedError          offline, and the answer to the request is not recorded
├── OutputError               the result could not be written
├── PartialError              a batch ended, and some records have no answer
├── ReaderGoneError           the program that reads our output has closed it
└── SDKError                  an answer with status 4xx or 5xx
    └── FailResponse          ... and with a JSON body that describes the error
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from writer_cli.exits import ExitCode
from writer_cli.redaction import cleaned_excerpt

if TYPE_CHECKING:
    import httpx


class WriterError(Exception):
    """The base class of all errors of this package.

    Attributes:
        kind: The type of the error, for scripts.
        exit_code: The exit code of the command line.
        hint: One line that says what to do next, or None.
        retryable: Whether the same call may succeed later.
        attempts: How many requests were sent.
        content_type: The `Content-Type` of the answer; empty if there was none.
        text: The part of a text that arrived before the error.
    """

    kind: str = "bug"
    exit_code: ExitCode = ExitCode.BUG
    hint: str | None = None
    retryable: bool = False
    attempts: int = 0
    content_type: str = ""
    text: str = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if hint is not None:
            self.hint = hint

    def as_dict(self) -> dict[str, Any]:
        """Return the error as JSON: the same keys for every error, null if unknown.

        If a part of the text arrived, there is one more key, `text`.
        """
        document: dict[str, Any] = {
            "kind": self.kind,
            "exit_code": int(self.exit_code),
            "message": self.message,
            "status_code": None,
            "tpe": None,
            "errors": [],
            "action_id": None,
            "retryable": self.retryable,
            "attempts": self.attempts,
            "hint": self.hint,
        }
        return document | {"text": self.text} if self.text else document


class UsageError(WriterError):
    """An invalid value; nothing was sent.

    `field` is the name of the parameter in the message, or None; the command line replaces it
    with the name of the flag.
    """

    kind = "usage"
    exit_code = ExitCode.USAGE

    def __init__(self, message: str, *, hint: str | None = None, field: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.field = field


class ConfigurationError(WriterError):
    """A setting is missing or invalid; nothing was sent."""

    kind = "configuration"
    exit_code = ExitCode.CONFIGURATION


class NetworkError(WriterError):
    """No answer: the connection was refused or reset, or its certificate is not trusted."""

    kind = "network"
    exit_code = ExitCode.NETWORK
    retryable = True


class RequestTimeoutError(NetworkError):
    """No answer within the timeout."""

    kind = "timeout"
    hint = "allow more time with --timeout SECONDS, or ask for fewer tokens with --max-tokens"


class DeadlineError(RequestTimeoutError):
    """No complete answer before the deadline for all attempts, retries and waits included."""

    hint = "allow more time with --deadline SECONDS, or ask for fewer tokens with --max-tokens"

    def __init__(self, message: str = "the deadline passed before the answer was complete") -> None:
        super().__init__(message)


class BadAnswerError(WriterError):
    """The answer does not match the description of the API."""

    kind = "bad_answer"
    exit_code = ExitCode.BAD_ANSWER
    hint = "check that --base-url is the URL of the API: `writer config check`"


class CutError(BadAnswerError):
    """The answer ended too early."""

    kind = "cut"
    hint = "the answer is incomplete: try again"


class NotRecordedError(WriterError):
    """Nothing may be sent, and no answer to the request is recorded."""

    kind = "not_recorded"
    exit_code = ExitCode.NOT_RECORDED


class OutputError(WriterError):
    """The answer arrived, but could not be written to its destination."""

    kind = "output"
    exit_code = ExitCode.OUTPUT


class PartialError(WriterError):
    """A batch ended, and some records have no answer."""

    kind = "partial"
    exit_code = ExitCode.PARTIAL


class ReaderGoneError(WriterError):
    """The program that reads our output has closed it, as `head` does. No message is shown."""

    kind = "reader_gone"
    exit_code = ExitCode.READER_GONE


class FailMessage(NamedTuple):
    """One reason in a `FailResponse`; servers may leave out `key` and `extras`.

    `field` is the field of the request that the server names as the cause, or None.
    """

    description: str
    key: str | None = None
    extras: Any = None
    field: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the message as JSON; the keys are those of the wire."""
        return {"description": self.description, "key": self.key, "extras": self.extras}


class SDKError(WriterError):
    """An answer with a status of 400 to 599.

    Attributes:
        status_code: The HTTP status.
        body: The body as text; everything that looks like a key is removed.
        raw_response: The HTTP library's response object, or None.
        action_id: Writer's id of the request, from the `Action-Id` header, or None.
        retry_after: The seconds that the server asks to wait, or None.
    """

    retry_after: float | None = None

    QUOTA_KEYS: ClassVar = ("fail.model.quotaExceeded", "insufficient_quota")
    MODERATION_KEYS: ClassVar = ("fail.content.moderation.failed", "fail.guardrail.blocked")
    MAY_SUCCEED_LATER: ClassVar = frozenset({408, 409, 425, 429})

    def __init__(
        self,
        message: str,
        status_code: int = 0,
        body: str = "",
        raw_response: "httpx.Response | None" = None,
        *,
        action_id: str | None = None,
        keys: Sequence[str | None] = (),
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.body = body
        self.raw_response = raw_response
        self.action_id = action_id
        is_quota = any(key in self.QUOTA_KEYS for key in keys)
        self.kind, self.exit_code = _kind_of_status(status_code, is_quota=is_quota)
        self.retryable = not is_quota and (
            self.kind == "server" or status_code in self.MAY_SUCCEED_LATER
        )
        if any(key in self.MODERATION_KEYS for key in keys):
            self.hint = "the content filter refused it: reword the prompt"
        else:
            self.hint = _HINTS.get(self.kind)

    def as_dict(self) -> dict[str, Any]:
        """Return the error as JSON, with its status and the id of the request."""
        return super().as_dict() | {"status_code": self.status_code, "action_id": self.action_id}


class FailResponse(SDKError):  # noqa: N818 - the SDK's name
    """An error that the server describes in JSON: `tpe`, `errors` and `extras` as sent."""

    def __init__(
        self,
        tpe: str = "",
        errors: Sequence[FailMessage] = (),
        extras: Any = None,
        *,
        status_code: int = 0,
        body: str = "",
        raw_response: "httpx.Response | None" = None,
        action_id: str | None = None,
    ) -> None:
        self.tpe = tpe
        self.errors = list(errors)
        self.extras = extras
        reasons = "; ".join(e.description for e in self.errors if e.description)
        super().__init__(
            reasons or status_message(status_code, body),
            status_code,
            body,
            raw_response,
            action_id=action_id,
            keys=[e.key for e in self.errors],
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the error as JSON, with all messages of the server."""
        return super().as_dict() | {
            "tpe": self.tpe,
            "errors": [message.as_dict() for message in self.errors],
        }


_HINTS = {
    "authentication": "check the key with `writer config check`, "
    "or set another with `writer config set api_key`",
    "permission": "the key is valid but has no permission for this: check the model and the "
    "organization with `writer config check`",
    "not_found": "check --model-id and --organization-id: `writer config check` shows both",
    "refused": "see exactly what was sent: repeat the command with --dry-run",
    "rate_limit": "wait and try again: the limit is a number of requests or tokens a minute",
    "quota": "the quota of this month is used up, so trying again does not help: "
    "ask your organization's administrator to raise it",
    "server": "the API failed, not the request: try again in a moment",
}


def _kind_of_status(status_code: int, *, is_quota: bool) -> tuple[str, ExitCode]:
    from http import HTTPStatus

    if status_code == HTTPStatus.UNAUTHORIZED:
        return "authentication", ExitCode.DENIED
    if status_code == HTTPStatus.FORBIDDEN:
        return "permission", ExitCode.DENIED
    if status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return ("quota" if is_quota else "rate_limit"), ExitCode.LIMITED
    if status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "server", ExitCode.SERVER
    return ("not_found" if status_code == HTTPStatus.NOT_FOUND else "refused"), ExitCode.REFUSED


def status_message(status_code: int, body: str) -> str:
    """Return a message for an answer without a description: its status and an excerpt."""
    from http import HTTPStatus

    try:
        status = f"HTTP {status_code} {HTTPStatus(status_code).phrase}"
    except ValueError:
        status = f"HTTP {status_code}"
    excerpt = cleaned_excerpt(body)
    return f"{status}: {excerpt}" if excerpt else status
