"""A request that is shown instead of sent."""

import json
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from writer_cli.http.connection import PreparedRequest


def prepared_as_dict(prepared: "PreparedRequest") -> dict[str, Any]:
    """Return the JSON of `--dry-run`: the request, with `$WRITER_API_KEY` in place of the key."""
    return {
        "method": prepared.method,
        "url": prepared.url,
        "headers": prepared.headers,
        "body": prepared.body,
    }


def curl(prepared: "PreparedRequest") -> str:
    """Return the request as a curl command for a POSIX shell with the key in `$WRITER_API_KEY`."""
    words = ["curl", "--fail-with-body", "--request", prepared.method, shlex.quote(prepared.url)]
    for name, value in prepared.headers.items():
        header = f"{name}: {value}"
        # Double quotes, so that the shell inserts the key; this header has nothing else to expand.
        words += ["--header", f'"{header}"' if name == "Authorization" else shlex.quote(header)]
    body = json.dumps(prepared.body)
    words += ["--data-raw", shlex.quote(body)]
    return " ".join(words) + "\n"
