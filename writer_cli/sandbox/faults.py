"""Failures on demand, by model id or customization id, to test the error handling of a script.

A fault is a function: it gets the normal response and returns the faulty one.
"""

from collections.abc import Callable
from dataclasses import replace

from writer_cli.sandbox.messages import FailureError, Response, bad_request

RETRY_AFTER = 1
"""Seconds that `fault-429` asks to wait."""


def _failing(failure: FailureError) -> Callable[[Response], Response]:
    return lambda _: failure.response()


def _rate(_: Response) -> Response:
    return too_many_requests(RETRY_AFTER)


def too_many_requests(seconds: int) -> Response:
    """Return a 429 that asks to wait."""
    failure = FailureError(
        429,
        "TooManyRequests",
        "fail.tooManyRequests.quotaExceeded",
        f"too many requests: try again in {seconds} s",
    )
    response = failure.response()
    return replace(response, headers=response.headers | {"retry-after": str(seconds)})


def _html(_: Response) -> Response:
    page = (
        "<html><head><title>502 Bad Gateway</title></head>"
        "<body><h1>502 Bad Gateway</h1><p>The upstream server did not answer.</p></body></html>"
    )
    return Response(502, {"content-type": "text/html; charset=utf-8"}, (page.encode(),))


def _slow(response: Response) -> Response:
    return replace(response, is_late=True)


def _cut(response: Response) -> Response:
    """Cut the body in the middle, inside an event."""
    body = response.body
    return replace(response, chunks=(body[: len(body) // 2],), is_cut=True)


def _garbage(response: Response) -> Response:
    garbage = b"data: {{{ not JSON\n\n" if response.is_stream else b'{"choices": [{"text": "hal'
    return replace(response, chunks=(garbage,))


def unavailable() -> Response:
    """Return a 503 for a temporary failure."""
    return FailureError(
        503, "ServiceUnavailable", "fail.serviceUnavailable.temporary", "temporarily unavailable"
    ).response()


FLAKY = "fault-flaky"
"""The fault that fails twice, then answers."""

FLAKY_FAILURES = 2

FAULTS: dict[str, Callable[[Response], Response]] = {
    "fault-400": _failing(bad_request("prompt: refused, as fault-400 asks")),
    "fault-401": _failing(
        FailureError(401, "Unauthorized", "fail.unauthorized.badToken", "the key is not known")
    ),
    "fault-403": _failing(
        FailureError(
            403,
            "Forbidden",
            "fail.forbidden.insufficientAccessRights",
            "the key has no permission for this",
        )
    ),
    "fault-404": _failing(
        FailureError(404, "NotFound", "fail.notFound.resource", "there is no such model")
    ),
    "fault-429": _rate,
    "fault-quota": _failing(
        FailureError(
            429,
            "CompletionModelQuotaError",
            "fail.model.quotaExceeded",
            "the quota of the month is used up",
        )
    ),
    "fault-500": _failing(
        FailureError(
            500, "InternalServerError", "fail.internalServerError.generic", "internal error"
        )
    ),
    "fault-502-html": _html,
    "fault-slow": _slow,
    "fault-cut": _cut,
    "fault-garbage": _garbage,
    "fault-moderation": _failing(
        FailureError(
            400, "BadRequest", "fail.content.moderation.failed", "the content filter refused it"
        )
    ),
}

TRANSIENT = ("fault-429", "fault-500", "fault-502-html", "fault-cut", "fault-garbage")
"""The faults that `--fault-rate` chooses from: temporary failures, as in a real network."""
