"""Text that is laid out at words, by the cells of a terminal."""

import pytest
from rich.cells import cell_len

from tests.harness.emulator import without_styles
from tests.harness.program import writer
from writer_cli.errors import UsageError
from writer_cli.output.error_messages import show_error
from writer_cli.output.terminal import Terminal
from writer_cli.output.words import wrapped


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
