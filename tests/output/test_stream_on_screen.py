import os
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.harness.events import event, texts
from tests.harness.program import WRITER, environment
from tests.harness.pseudo_terminal import OnTerminal, screen
from tests.harness.servers import HANG, Received, Server, Step

PROMPTLY = 0.05
"""Seconds from the server's sending to the reader's seeing."""

PIECES = ["<one>", "<two>", "<three>", "<four>"]


class Metronome:
    """A server that sends a piece of a text every 200 ms, and knows when it did.

    The first piece takes longer, so that it meets a spinner that is just being prepared.
    """

    def __init__(self, *, first: float = 0.2) -> None:
        self.sent: dict[str, float] = {}
        self._first = first
        self.server = Server(self._script)

    def env(self) -> dict[str, str]:
        """Return the settings of a process that asks it."""
        return {"WRITER_API_KEY": "k", "WRITER_ORG_ID": "7", "WRITER_BASE_URL": self.server.url}

    def _script(self, _: Received) -> Iterator[Step]:
        head, *chunks, last = texts(*PIECES)
        yield head
        for piece, chunk in zip(PIECES, chunks, strict=True):
            time.sleep(0.2 if self.sent else self._first)  # what is measured is who waits longer
            self.sent[piece] = time.monotonic()
            yield chunk
        time.sleep(0.2)
        yield last


def seen_in_a_pipe(metronome: Metronome, *flags: str) -> dict[str, float]:
    """Return when a reader of a pipe sees each piece."""
    arguments = [WRITER, "complete", "-m", "m", "p", "--stream", *flags]
    seen: dict[str, float] = {}
    text = b""
    env = environment(metronome.env())
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        while chunk := os.read(process.stdout.fileno(), 4096):
            text += chunk
            now = time.monotonic()
            for piece in PIECES:
                if piece.encode() in text:
                    seen.setdefault(piece, now)
    assert (process.returncode, text.decode()) == (0, "".join(PIECES) + "\n")
    return seen


def seen_on_a_terminal(metronome: Metronome, *flags: str) -> dict[str, float]:
    """Return when a person at a terminal sees each piece."""
    arguments = [WRITER, "complete", "-m", "m", "p", *flags]
    seen: dict[str, float] = {}
    with OnTerminal(arguments, env=metronome.env()) as terminal:
        for piece in PIECES:
            terminal.wait_for(piece)
            seen[piece] = time.monotonic()
        assert terminal.wait() == 0
        assert screen(terminal.raw)[0].endswith("".join(PIECES))
    return seen


def longest_delay(see: Callable[..., dict[str, float]], *flags: str, first: float = 0.2) -> float:
    """Return how long the slowest piece took from the server to the reader."""
    metronome = Metronome(first=first)
    with metronome.server:
        seen = see(metronome, *flags)
    assert list(metronome.sent) == list(seen) == PIECES
    return max(seen[piece] - metronome.sent[piece] for piece in PIECES)


@pytest.mark.parametrize(
    ("see", "flags"),
    [
        (seen_in_a_pipe, []),
        (seen_in_a_pipe, ["--deadline", "30"]),
        (seen_on_a_terminal, []),
    ],
)
def test_each_piece_is_seen_when_it_is_sent(
    see: Callable[..., dict[str, float]], flags: list[str]
) -> None:
    """Within 50 ms, in a pipe and on a terminal."""
    # Measured twice where the first was too long: on a machine with more to do than it has cores,
    # any process may be kept waiting for so long now and then, and a buffer is slow every time.
    assert any(longest_delay(see, *flags) < PROMPTLY for _ in range(2))


def test_a_spinner_does_not_hold_up_the_first_piece() -> None:
    """It is being prepared then, 0.3 s after the question."""
    # Twice, for the same reason.
    assert any(longest_delay(seen_on_a_terminal, first=0.32) < PROMPTLY for _ in range(2))


def test_a_spinner_leaves_no_trace() -> None:
    """The screen has the text and nothing else, and the cursor is back."""
    metronome = Metronome(first=0.8)
    with (
        metronome.server,
        OnTerminal([WRITER, "complete", "-m", "m", "p"], env=metronome.env()) as terminal,
    ):
        terminal.wait_for("waiting for m")
        assert terminal.wait() == 0
        assert screen(terminal.raw) == ("".join(PIECES), True)


def test_a_reader_that_goes_away_ends_the_stream() -> None:
    """With the next piece, without a message, and the connection with it."""

    def script(_: Received) -> Iterator[Step]:
        head, *chunks, _last = texts(*["x" * 100] * 100)
        yield head
        for chunk in chunks:
            time.sleep(0.01)  # what nobody reads is noticed while there is more
            yield chunk
        yield HANG

    with Server(script) as server:
        env = {"WRITER_API_KEY": "k", "WRITER_ORG_ID": "7", "WRITER_BASE_URL": server.url}
        done = subprocess.run(
            [
                "bash",
                "-c",
                'writer complete -m m p --stream | head -c 1; echo " ${PIPESTATUS[0]}"',
            ],
            env=environment(env),
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert (done.stdout, done.stderr) == (b"x 141\n", b"")


def test_an_interrupt_ends_a_stream_on_the_screen() -> None:
    """Ctrl-C; what came stays."""
    script = [*texts("<one>")[:-1], HANG]
    with Server(script) as server:
        env = {"WRITER_API_KEY": "k", "WRITER_ORG_ID": "7", "WRITER_BASE_URL": server.url}
        with OnTerminal([WRITER, "complete", "-m", "m", "p"], env=env) as terminal:
            terminal.wait_for("<one>")
            terminal.type(b"\x03")
            assert terminal.wait() == -2
            assert screen(terminal.raw)[0].startswith("<one>")


def test_a_cut_stream_on_the_screen_is_a_text_and_a_message() -> None:
    """Each on lines of its own."""
    script = [*texts("<one>")[:-1], event("half")[:-9]]
    with Server([*script, b"0\r\n\r\n"]) as server:
        env = {"WRITER_API_KEY": "k", "WRITER_ORG_ID": "7", "WRITER_BASE_URL": server.url}
        with OnTerminal(
            [WRITER, "complete", "-m", "m", "p", "--max-retries", "0"], env=env
        ) as terminal:
            assert terminal.wait() == 9
        assert screen(terminal.raw)[0].startswith("<one>\nerror: the answer from ")
