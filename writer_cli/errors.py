"""What can go wrong, what it exits with, and what to do about it.

WriterError
├── UsageError                a value that cannot be right; nothing was sent
├── ConfigurationError        no key, no organization id, an unreadable file; nothing was sent
├── NetworkError              no answer: refused, reset, TLS
│   └── RequestTimeoutError   no answer in time
│       └── DeadlineError     ... of all attempts together
├── BadAnswerError            an answer that is not what the API promises
│   └── CutError              ... because it ended too early
├── OutputError               the answer came and could not be written
├── PartialError              a batch ended with records that have no answer
├── ReaderGoneError           whoever read our output has stopped
└── SDKError                  any 4xx or 5xx
    └── FailResponse          ... whose body is Writer's own description of it
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from writer_cli.exits import ExitCode
from writer_cli.redaction import cleaned_excerpt

if TYPE_CHECKING:
    import httpx


class WriterError(Exception):
    """Anything that this package raises on purpose.

    `kind` names the error for a script, `hint` is one line that says what to do next, `retryable`
    says whether the same call may succeed later, `attempts` how many requests were sent,
    `content_type` what the answer said that it is, if there was one, and `text` what had come of a
    text before.
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
        """The error as a script reads it: the same keys for every error, null where unknown.

        Where a text had begun to come there is one key more, for a script that paid for it.
        """
        told: dict[str, Any] = {
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
        return told | {"text": self.text} if self.text else told


class UsageError(WriterError):
    """A value that cannot be right; nothing was sent.

    `field` is the name of the value at fault, if it has one that the message mentions: a command
    line calls it by its flag.
    """

    kind = "usage"
    exit_code = ExitCode.USAGE

    def __init__(self, message: str, *, hint: str | None = None, field: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.field = field


class ConfigurationError(WriterError):
    """Something that belongs into the configuration is missing or wrong; nothing was sent."""

    kind = "configuration"
    exit_code = ExitCode.CONFIGURATION


class NetworkError(WriterError):
    """No answer came: the connection was refused, reset or not to be trusted."""

    kind = "network"
    exit_code = ExitCode.NETWORK
    retryable = True


class RequestTimeoutError(NetworkError):
    """No answer came in time."""

    kind = "timeout"
    hint = "give it longer with --timeout SECONDS, or ask for less with --max-tokens"


class DeadlineError(RequestTimeoutError):
    """The answer was not whole when the time for everything, retries and waits included, was up."""

    hint = "give it longer with --deadline SECONDS, or ask for less with --max-tokens"

    def __init__(self, message: str = "the deadline passed before the answer was whole") -> None:
        super().__init__(message)


class BadAnswerError(WriterError):
    """An answer came, and it is not what the API promises."""

    kind = "bad_answer"
    exit_code = ExitCode.BAD_ANSWER
    hint = "is --base-url the address of Writer's API? `writer config check` shows it"


class CutError(BadAnswerError):
    """An answer began and ended too early."""

    kind = "cut"
    hint = "what came is incomplete: try again"


class OutputError(WriterError):
    """The answer came and could not be written where it was to go."""

    kind = "output"
    exit_code = ExitCode.OUTPUT


class PartialError(WriterError):
    """A batch ended with records that have no answer."""

    kind = "partial"
    exit_code = ExitCode.PARTIAL


class ReaderGoneError(WriterError):
    """Whoever read our output has stopped, as `head` does; nobody needs a message."""

    kind = "reader_gone"
    exit_code = ExitCode.READER_GONE


@dataclass(frozen=True, slots=True)
class FailMessage:
    """One of the reasons in a `FailResponse`; `key` and `extras` are not always sent.

    `field` is the field of the request that the server names as the reason, if it names one: a
    command line calls it by its flag.
    """

    description: str
    key: str | None = None
    extras: Any = None
    field: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The message with all three of its keys."""
        return {"description": self.description, "key": self.key, "extras": self.extras}


class SDKError(WriterError):
    """Any answer with a status of 400 to 599.

    `body` is the text of the answer with anything that looks like a key taken out;
    `raw_response` is the HTTP library's own object; `retry_after` is how many seconds the server
    asks to wait, where it does.
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
            status_code in self.MAY_SUCCEED_LATER or status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        )
        if any(key in self.MODERATION_KEYS for key in keys):
            self.hint = "the content filter refused it: reword the prompt"
        else:
            self.hint = _HINTS.get(self.kind)

    def as_dict(self) -> dict[str, Any]:
        """The error with the status and, where the server sent one, the request's id."""
        return super().as_dict() | {"status_code": self.status_code, "action_id": self.action_id}


class FailResponse(SDKError):  # noqa: N818 - the SDK's name
    """An error that Writer describes itself: `tpe`, `errors` and `extras` as they were sent."""

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
            reasons or described(status_code, body),
            status_code,
            body,
            raw_response,
            action_id=action_id,
            keys=[e.key for e in self.errors],
        )

    def as_dict(self) -> dict[str, Any]:
        """The error with every message of the server."""
        return super().as_dict() | {
            "tpe": self.tpe,
            "errors": [message.as_dict() for message in self.errors],
        }


_HINTS = {
    "authentication": "check the key with `writer config check`, "
    "or set another with `writer config set api_key`",
    "permission": "the key works and may not do this: check the model and the organization with "
    "`writer config check`",
    "not_found": "check --model-id and --organization-id: `writer config check` shows both",
    "refused": "see exactly what was sent: repeat the command with --dry-run",
    "rate_limit": "wait a minute and try again: the limit is for each minute",
    "quota": "the month's quota is used up: trying again will not help, "
    "the organization's administrator can raise it",
    "server": "the API failed, not the request: try again in a moment",
}


def _kind_of_status(status_code: int, *, is_quota: bool) -> tuple[str, ExitCode]:
    if status_code == HTTPStatus.UNAUTHORIZED:
        return "authentication", ExitCode.DENIED
    if status_code == HTTPStatus.FORBIDDEN:
        return "permission", ExitCode.DENIED
    if status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return ("quota" if is_quota else "rate_limit"), ExitCode.LIMITED
    if status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "server", ExitCode.SERVER
    if status_code == HTTPStatus.NOT_FOUND:
        return "not_found", ExitCode.REFUSED
    return "refused", ExitCode.REFUSED


def described(status_code: int, body: str) -> str:
    """Say what an answer is that does not say it itself: its status and a cleaned excerpt."""
    try:
        status = f"HTTP {status_code} {HTTPStatus(status_code).phrase}"
    except ValueError:
        status = f"HTTP {status_code}"
    excerpt = cleaned_excerpt(body)
    return f"{status}: {excerpt}" if excerpt else status


def as_text(value: Any) -> str:
    """Return a text as it is, and as JSON what a server sent in the place of one."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
