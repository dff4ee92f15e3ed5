"""A request that is shown instead of being sent."""

import json
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from writer_cli.http.connection import PreparedRequest


def prepared_as_dict(prepared: "PreparedRequest") -> dict[str, Any]:
    """Return what `--dry-run` prints: the request, with the name of the key for the key."""
    return {
        "method": prepared.method,
        "url": prepared.url,
        "headers": prepared.headers,
        "body": prepared.body,
    }


def curl(prepared: "PreparedRequest") -> str:
    """Return the request as a command line for a POSIX shell that has the key in a variable."""
    words = ["curl", "--fail-with-body", "--request", prepared.method, shlex.quote(prepared.url)]
    for name, value in prepared.headers.items():
        header = f"{name}: {value}"
        # The shell is to put the key in: nothing else of this header means anything to it.
        words += ["--header", f'"{header}"' if name == "Authorization" else shlex.quote(header)]
    body = json.dumps(prepared.body)
    words += ["--data-raw", shlex.quote(body)]
    return " ".join(words) + "\n"
