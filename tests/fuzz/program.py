"""The program with random input, and what must hold for any input."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from hypothesis import event, settings
from hypothesis import strategies as st

from tests.harness.program import Ran, writer
from writer_cli.exits import ExitCode

KEY = "fuzz-Zq8vT3xL0wN5yB7k"

DOCUMENTED = {int(code) for code in ExitCode} - {int(ExitCode.BUG)}
"""The exit codes that are allowed for any input."""


def examples(few: int) -> settings:
    """Return how many examples to try: `few`, or as many as `FUZZ_EXAMPLES` says."""
    return settings(max_examples=int(os.environ.get("FUZZ_EXAMPLES", few)), print_blob=True)


def run(
    *arguments: str, env: Mapping[str, str] | None = None, stdin: bytes = b"", **terminal: Any
) -> Ran:
    """Run the program; fail if its end is not documented or the key is shown."""
    ran = writer(*arguments, env={"WRITER_API_KEY": KEY, **(env or {})}, stdin=stdin, **terminal)
    event(f"exit code {ran.code}")
    assert ran.code in DOCUMENTED, ran
    said = ran.output + ran.errors
    assert "Traceback" not in said, ran
    assert KEY not in said, ran
    return ran


@contextmanager
def folder() -> Iterator[Path]:
    """Work in a new, empty folder for a while."""
    with tempfile.TemporaryDirectory() as name, chdir(name):
        yield Path(name)


# Shared strategies. No text has a slash, so that a random path stays in the folder.

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), max_size=20)

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return the bytes with up to three pieces deleted, inserted, doubled or replaced."""
    raw = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.integers(0, 8)))
        piece = draw(
            st.just(b"")
            | st.binary(max_size=4)
            | st.just(bytes(raw[start:end]) * 2)
            | st.sampled_from(
                [b"\n", b"\r\n", b'"', b"{", b"}", b"[", b"\\u", b"null", b"NaN", b"-1"]
            )
        )
        raw[start:end] = piece
    return bytes(raw)


@st.composite
def cut(draw: st.DrawFn, whole: bytes) -> list[bytes]:
    """Return the bytes in up to six pieces that are not empty."""
    places = sorted(draw(st.sets(st.integers(0, len(whole)), max_size=5)))
    ends = zip([0, *places], [*places, len(whole)], strict=True)
    return [whole[start:end] for start, end in ends if start < end]
