"""The last list of model ids, kept in a cache: it allows "did you mean" for a mistyped id."""

import contextlib
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


def known(path: Path) -> list[str]:
    """Return the ids in the last list, none where there is no list that can be read."""
    if not path.is_file():  # nothing is waited for, as a pipe would make us
        return []
    try:
        with path.open("rb") as file:
            ids = json.loads(file.read(LARGEST_CACHE))
        return [model_id for model_id in ids if isinstance(model_id, str)]
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def nearest(path: Path, model_id: str) -> str | None:
    """Return the id in the last list that is most like `model_id`, if one is, and no other."""
    import difflib

    ids = known(path)
    if model_id in ids:
        return None
    return next(iter(difflib.get_close_matches(model_id, ids, n=1)), None)


def path_for(api: str) -> Path:
    """Return the path of the cache for an API, in the platform's directory for caches."""
    import platformdirs

    return platformdirs.user_cache_path("writer-cli") / f"models-{api}.json"
