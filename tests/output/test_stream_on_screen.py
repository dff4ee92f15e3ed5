import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.harness.events import event, texts
from tests.harness.program import WRITER, Process, environment
from tests.harness.pseudo_terminal import OnTerminal, screen
from tests.harness.servers import HANG, Received, Server, Step

PIECES = ["<one>", "<two>", "<three>", "<four>"]

PATIENCE = 30.0
"""Seconds after which a piece that the reader has not seen counts as held back."""


class LockStep:
    """A server that sends the next piece of a text only after the reader has seen the last one.

    Attributes:
        seen: Set for each piece by the reader.
        held_back: The pieces that the reader did not see while the server waited.
    """

    def __init__(self, *, first_after: float = 0.0) -> None:
        self.seen = {piece: threading.Event() for piece in PIECES}
        self.held_back: list[str] = []
        self._first_after = first_after
        self.server = Server(self._script)

    def env(self) -> dict[str, str]:
        """Return the environment variables of a process that uses the server."""
        return {"WRITER_API_KEY": "k", "WRITER_ORG_ID": "7", "WRITER_BASE_URL": self.server.url}

    def _script(self, _: Received) -> Iterator[Step]:
        head, *chunks, last = texts(*PIECES)
        yield head
        time.sleep(self._first_after)  # the client must get the first piece at this moment
        for piece, chunk in zip(PIECES, chunks, strict=True):
            yield chunk
            if not self.seen[piece].wait(PATIENCE):
                self.held_back.append(piece)
        yield last


def read_in_a_pipe(lock_step: LockStep, *flags: str) -> None:
    """Read the text from a pipe, and report each piece."""
    arguments = [WRITER, "complete", "-m", "m", "p", "--stream", *flags]
    text = b""
    env = environment(lock_step.env())
    with Process(arguments, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        while chunk := os.read(process.stdout.fileno(), 4096):
            text += chunk
            for piece in PIECES:
                if piece.encode() in text:
                    lock_step.seen[piece].set()
    assert (process.returncode, text.decode()) == (0, "".join(PIECES) + "\n")


def read_on_a_terminal(lock_step: LockStep, *flags: str) -> None:
    """Read the text on a terminal, and report each piece."""
    arguments = [WRITER, "complete", "-m", "m", "p", *flags]
    with OnTerminal(arguments, env=lock_step.env()) as terminal:
        for piece in PIECES:
            terminal.wait_for(piece)
            lock_step.seen[piece].set()
        assert terminal.wait() == 0
        assert screen(terminal.raw)[0].endswith("".join(PIECES))


@pytest.mark.parametrize(
    ("read", "flags"),
    [
        (read_in_a_pipe, []),
        (read_in_a_pipe, ["--deadline", "100"]),
        (read_on_a_terminal, []),
    ],
)
def test_each_piece_is_seen_before_the_next_is_sent(
    read: Callable[..., None], flags: list[str]
) -> None:
    """Each piece is written at once, to a pipe and to a terminal."""
    lock_step = LockStep()
    with lock_step.server:
        read(lock_step, *flags)
    assert lock_step.held_back == []


def test_a_spinner_does_not_hold_back_the_first_piece() -> None:
    """A piece that comes while the spinner starts is shown at once."""
    lock_step = LockStep(first_after=0.32)
    with lock_step.server:
        read_on_a_terminal(lock_step)
    assert lock_step.held_back == []


def test_a_spinner_leaves_no_trace() -> None:
    """After the spinner the screen has only the text, and the cursor is visible."""
    head, *chunks, last = texts(*PIECES)
    is_spinning = threading.Event()

    def script(_: Received) -> Iterator[Step]:
        yield head
        assert is_spinning.wait(PATIENCE)
        yield from [*chunks, last]

    with Server(script) as server:
        env = {"WRITER_API_KEY": "k", "WRITER_ORG_ID": "7", "WRITER_BASE_URL": server.url}
        with OnTerminal([WRITER, "complete", "-m", "m", "p"], env=env) as terminal:
            terminal.wait_for("waiting for m")
            is_spinning.set()
            assert terminal.wait() == 0
            assert screen(terminal.raw) == ("".join(PIECES), True)


def test_a_reader_that_goes_away_ends_the_stream() -> None:
    """If the reader is gone, the next piece ends the program without a message."""

    def script(_: Received) -> Iterator[Step]:
        head, *chunks, _last = texts(*["x" * 100] * 100)
        yield head
        for chunk in chunks:
            time.sleep(0.01)  # the client notices the missing reader only when it writes more
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
    """Ctrl-C ends the stream, and the text so far stays on the screen."""
    script = [*texts("<one>")[:-1], HANG]
    with Server(script) as server:
        env = {"WRITER_API_KEY": "k", "WRITER_ORG_ID": "7", "WRITER_BASE_URL": server.url}
        with OnTerminal([WRITER, "complete", "-m", "m", "p"], env=env) as terminal:
            terminal.wait_for("<one>")
            terminal.type(b"\x03")
            assert terminal.wait() == -2
            assert screen(terminal.raw)[0].startswith("<one>")


def test_a_cut_stream_on_the_screen_is_a_text_and_a_message() -> None:
    """The text so far and the error are on separate lines."""
    script = [*texts("<one>")[:-1], event("half")[:-9]]
    with Server([*script, b"0\r\n\r\n"]) as server:
        env = {"WRITER_API_KEY": "k", "WRITER_ORG_ID": "7", "WRITER_BASE_URL": server.url}
        with OnTerminal(
            [WRITER, "complete", "-m", "m", "p", "--max-retries", "0"], env=env
        ) as terminal:
            assert terminal.wait() == 9
        assert screen(terminal.raw)[0].startswith("<one>\nerror: the answer from ")
