"""The answers of each API, and a server that sends them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.program import KEY
from tests.harness.servers import CLOSE, Received, Server, Step

APIS = ("enterprise", "studio", "openai")

MODEL_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
"""Texts of a model: any characters."""

STATUSES = st.just(200) | st.sampled_from([*HTTPStatus]).map(int)


@dataclass
class Answering:
    """A server that sends the answer in `steps`, and the settings to use it."""

    url: str
    steps: Sequence[Step] = field(default=(CLOSE,))

    def __call__(self, _: Received) -> Sequence[Step]:
        """Return the answer."""
        return self.steps

    def env(self, api: str) -> dict[str, str]:
        """Return the environment variables that lead `writer` here."""
        return {
            "WRITER_API": api,
            "WRITER_BASE_URL": self.url,
            "WRITER_API_KEY": KEY,
            "WRITER_ORGANIZATION_ID": "7",
            "WRITER_MODEL_ID": "m",
            "WRITER_MAX_RETRIES": "0",
            "WRITER_TIMEOUT": "30",
            "WRITER_CONFIG": "none",
        }


@contextmanager
def answering() -> Iterator[Answering]:
    """Serve on a port."""
    script = Answering("")
    with Server(script) as server:
        script.url = server.url
        yield script


def head(status: int = 200, content_type: str = "application/json", *headers: str) -> bytes:
    """Write the head of an answer that ends with the connection."""
    lines = [f"HTTP/1.1 {status} As It Is", f"Content-Type: {content_type}", "Connection: close"]
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1")


def completion_of(api: str, texts: Sequence[str]) -> dict[str, Any]:
    """Write the JSON of a completion."""
    named = [{"text": text, "index": index} for index, text in enumerate(texts)]
    return {"choices": named, **({"model": "m"} if api == "studio" else {})}


def models_of(api: str, names: Sequence[str]) -> dict[str, Any]:
    """Write the JSON of a list of models."""
    models = [{"id": name, "name": name, "type": "Palmyra"} for name in names]
    return {"models" if api == "studio" else "data": models}


def events_of(api: str, texts: Sequence[str], end: str, *, is_ascii: bool) -> bytes:
    """Write a stream with an event for each of these texts, with this line end."""
    stream = []
    for text in texts:
        one = {"choices": [{"text": text, "index": 0}]} if api == "openai" else {"value": text}
        stream.append(f"data: {json.dumps(one, ensure_ascii=is_ascii)}{end}{end}")
    stream.append(f"data: [DONE]{end}{end}")
    return "".join(stream).encode()
