"""Streams of completions for the scripted server."""

import json
from typing import Any

from tests.harness.servers import Step, chunked


def event(value: Any, *, end: str = "\n\n") -> bytes:
    """Write an event of JSON; of a text, as the APIs send it."""
    document = {"value": value} if isinstance(value, str) else value
    return f"data: {json.dumps(document)}{end}".encode()


def stream(*chunks: bytes, whole: bool = True) -> list[Step]:
    """Write an answer that is a stream, in chunks that need not be events."""
    return chunked(*chunks, content_type="text/event-stream", whole=whole)


def texts(*values: str) -> list[Step]:
    """Write an answer that streams these texts, an event and a chunk each."""
    return stream(*map(event, values))
