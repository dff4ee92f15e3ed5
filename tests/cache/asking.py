"""A client with a cache, and the server that it asks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import writer_cli as writer
from tests.harness.servers import KEY, Server

REQUEST = writer.CompletionRequest(prompt="Once upon a time", temperature=0.7)
MODEL = "palmyra-x5"


def client(
    server: Server, cache: writer.Cache | Path, *, api: Any = "enterprise", **more: Any
) -> writer.Writer:
    """Return a client of the server that does not retry."""
    return writer.Writer(KEY, 7, api=api, base_url=server.url, max_retries=0, cache=cache, **more)


def offline(directory: Path, *, api: Any = "enterprise", **more: Any) -> writer.Writer:
    """Return an offline client without a key, an organization and an address."""
    return writer.Writer(api=api, cache=writer.Cache(directory, offline=True, **more))


def create(
    asking: writer.Writer, request: writer.CompletionRequest = REQUEST
) -> writer.CreateCompletionResponse:
    """Ask for a completion."""
    return asking.completions.create(completion_request=request, model_id=MODEL)


def text_of(response: writer.CreateCompletionResponse) -> str:
    """Return the first text."""
    assert response.completion_response is not None
    return response.completion_response.choices[0].text


def streamed(asking: writer.Writer, request: writer.CompletionRequest = REQUEST) -> list[str]:
    """Ask for a stream, and return its pieces."""
    with asking.completions.stream(completion_request=request, model_id=MODEL) as stream:
        return [chunk.text for chunk in stream]


def only_file(directory: Path) -> Path:
    """Return the one recording that there is."""
    [path] = directory.glob("*/*")
    return path


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the JSON of a recording."""
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
