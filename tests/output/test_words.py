"""Text that is laid out at words, by the cells of a terminal."""

import contextlib
import fcntl
import io
import os
import struct
import termios
from collections.abc import Iterator
from typing import BinaryIO, TextIO

import pytest
from rich.cells import cell_len

from tests.harness.emulator import without_styles
from tests.harness.program import writer
from writer_cli.errors import UsageError
from writer_cli.output.error_messages import show_error
from writer_cli.output.terminal import Terminal
from writer_cli.output.words import shortened, wrapped


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 8, ["one two", "three"]),
        ("  two blanks", 9, ["  two", "blanks"]),
        ("a  b", 9, ["a  b"]),
        ("a-hyphenated-word x", 5, ["a-hyphenated-word", "x"]),
        ("waits 10 s", 9, ["waits", "10 s"]),
        ("one\ntwo", 9, ["one two"]),
        (" ", 9, [""]),
    ],
)
def test_a_text_is_wrapped_between_words(text: str, width: int, lines: list[str]) -> None:
    """No word is broken, and a number keeps its unit."""
    assert wrapped(text, width) == lines


def test_a_wide_character_takes_two_cells() -> None:
    """No line of Korean text is wider than the terminal."""
    text = "요청이 너무 많습니다 잠시 후에 다시 시도해 주세요"
    lines = wrapped(text, 20)
    assert max(map(cell_len, lines)) <= 20
    assert " ".join(lines) == text


def test_a_blank_error_keeps_its_label() -> None:
    """A message without visible text still has the word error."""
    terminal = Terminal.fake(stderr_is_terminal=True)
    show_error(terminal, UsageError(" ", hint="try again"), as_json=False)
    assert without_styles(terminal.errors) == "error: \nhint: try again\n"


def test_an_error_fits_a_terminal_without_styles() -> None:
    """`TERM=dumb` changes nothing about the width."""
    env = {"COLUMNS": "40", "TERM": "dumb"}
    ran = writer("complete", "x", stderr_is_terminal=True, env=env)
    assert max(map(len, ran.errors.splitlines())) == 40


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("fits", 4, "fits"),
        ("too long", 4, "too…"),
        ("요청이", 5, "요청…"),
        ("요청이", 4, "요…"),
        ("x", 0, "…"),
    ],
)
def test_a_text_is_shortened_to_cells(text: str, width: int, shown: str) -> None:
    """A sign stands for the part of a text that does not fit."""
    assert shortened(text, width) == shown


def test_each_stream_has_the_width_of_its_own_terminal() -> None:
    """A stream that is no terminal has the width of the other one."""
    with two_terminals(columns=(100, 50)) as (wide, narrow):
        terminal = Terminal(stdin=None, stdout=wide, stderr=narrow, env={})
        assert (terminal.width, terminal.error_width) == (100, 50)
        terminal = Terminal(stdin=None, stdout=wide, stderr=io.StringIO(), env={})
        assert (terminal.width, terminal.error_width) == (100, 100)
        terminal = Terminal(stdin=None, stdout=io.BytesIO(), stderr=narrow, env={})
        assert (terminal.width, terminal.error_width) == (50, 50)
        terminal = Terminal(stdin=None, stdout=wide, stderr=narrow, env={"COLUMNS": "70"})
        assert (terminal.width, terminal.error_width) == (70, 70)


@contextlib.contextmanager
def two_terminals(columns: tuple[int, int]) -> Iterator[tuple[BinaryIO, TextIO]]:
    """Open two terminals with so many columns, one for bytes and one for text."""
    with contextlib.ExitStack() as stack:
        slaves = []
        for number in columns:
            master, slave = os.openpty()
            stack.callback(os.close, master)
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, number, 0, 0))
            slaves.append(slave)
        yield (
            stack.enter_context(os.fdopen(slaves[0], "wb")),
            stack.enter_context(os.fdopen(slaves[1], "w", encoding="utf-8")),
        )
