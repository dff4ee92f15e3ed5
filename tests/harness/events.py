"""Streams of completions for the scripted server."""

import json
from typing import Any

from tests.harness.servers import Step, chunked


def event(value: Any, *, end: str = "\n\n") -> bytes:
    """Write an event with a JSON value, or with a text in the form of the APIs."""
    document = {"value": value} if isinstance(value, str) else value
    return f"data: {json.dumps(document)}{end}".encode()


def stream(*chunks: bytes, whole: bool = True) -> list[Step]:
    """Write a streamed answer in chunks, which need not match the events."""
    return chunked(*chunks, content_type="text/event-stream", whole=whole)


def texts(*values: str) -> list[Step]:
    """Write a stream of these texts, with one event and one chunk for each."""
    return stream(*map(event, values))
