"""The last list of models that was seen, so that a mistyped id can be told from an unknown one."""

import contextlib
import difflib
import json
from collections.abc import Sequence
from pathlib import Path

from writer_cli import atomic
from writer_cli.errors import WriterError

LARGEST_CACHE = 1024 * 1024
"""Bytes; what is larger was not written here."""


def remember(path: Path, ids: Sequence[str]) -> None:
    """Keep the ids. A cache that cannot be written is no reason to fail."""
    with contextlib.suppress(OSError, WriterError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.replacement(path) as file:
            file.write(json.dumps(list(ids)).encode())


def nearest(path: Path, model_id: str) -> str | None:
    """Return the id in the last list that is most like `model_id`, if one is, and no other."""
    try:
        with path.open("rb") as file:
            ids = json.loads(file.read(LARGEST_CACHE))
        known = [known for known in ids if isinstance(known, str)]
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    if model_id in known:
        return None
    return next(iter(difflib.get_close_matches(model_id, known, n=1)), None)


def path_for(api: str) -> Path:
    """Return where the list of an API is kept: in the platform's directory for caches."""
    import platformdirs

    return platformdirs.user_cache_path("writer-cli") / f"models-{api}.json"
