"""The last list of model ids, kept in a cache: it allows "did you mean" for a mistyped id."""

import contextlib
import difflib
import json
from collections.abc import Sequence
from pathlib import Path

from writer_cli import atomic
from writer_cli.errors import WriterError

LARGEST_CACHE = 1024 * 1024
"""Bytes of the cache that are read at most."""


def remember(path: Path, ids: Sequence[str]) -> None:
    """Store the ids. If the cache cannot be written, do nothing."""
    with contextlib.suppress(OSError, WriterError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.replacement(path) as file:
            file.write(json.dumps(list(ids)).encode())


def nearest(path: Path, model_id: str) -> str | None:
    """Return the id most similar to `model_id`; None if that is a known id, or none is similar."""
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
    """Return the path of the cache for an API, in the platform's directory for caches."""
    import platformdirs

    return platformdirs.user_cache_path("writer-cli") / f"models-{api}.json"
