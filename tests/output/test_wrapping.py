import signal
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.emulator import Screen
from tests.harness.events import texts
from tests.harness.program import WRITER, writer
from tests.harness.pseudo_terminal import OnTerminal
from tests.harness.servers import HANG, Received, Server, Step
from writer_cli.output.wrapping import Wrapper


def screen_of(pieces: list[str], columns: int) -> str:
    """Return the screen after a text that comes in these pieces."""
    wrapper = Wrapper(lambda: columns)
    written = "".join(wrapper.add(piece) for piece in pieces) + wrapper.end()
    return Screen(columns).feed(written.replace("\n", "\r\n")).text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one two three", "one two\nthree"),
        ("exactly10! and", "exactly10!\nand"),
        ("a\n\n  b c\n", "a\n\n  b c"),
        ("  - indent stays", "  - indent\nstays"),
        ("a        b        c", "a        b\nc"),
        ("a a-very-long-word b", "a\na-very-lon\ng-word b"),
        ("a\ttab\tword", "a       \ntab     \nword"),
        ("no\u00a0break here ok", "no\u00a0break\nhere ok"),
        ("漢字かな交じり文です", "漢字かな交\nじり文です"),
        ("これは、すごい。", "これは、す\nごい。"),
        ("漢字四つ目。終", "漢字四つ\n目。終"),
        ("文「括弧」の文です", "文「括弧」\nの文です"),
        ("文文文文「文」", "文文文文\n「文」"),
        ("wide: 漢字 ok", "wide: 漢字\nok"),
        ("e\u0301" * 5 + " " + "e\u0301" * 4 + " a", "e\u0301" * 5 + " " + "e\u0301" * 4 + "\na"),
        ("12345678 👩\u200d👩\u200d👧 a", "12345678\n👩\u200d👩\u200d👧 a"),
        ("123456 789\u2764\ufe0f", "123456\n789\u2764\ufe0f"),
        ("a\x1b[2Jbc c\x07d", "a␛[2Jbc\nc␇d"),
        ("[bold]x :smile: [/y]", "[bold]x\n:smile:\n[/y]"),
        ("          too many blanks", "          \ntoo many\nblanks"),
    ],
)
def test_lines_are_broken_at_words(text: str, shown: str) -> None:
    """Line breaks and indents stay, wide characters count twice, only a long word is broken."""
    shown = "\n".join(line.rstrip() for line in shown.split("\n"))
    assert screen_of([text], 10) == shown


def test_after_a_long_word_that_is_not_ascii_the_next_word_starts_a_line() -> None:
    """Terminals do not agree on the width of such a word, so a new line is begun."""
    shown = "\u00e9" * 10 + "\n" + "\u00e9" * 3 + "\nb"
    assert screen_of(["\u00e9" * 12, "\u00e9", " b"], 10) == shown


ALPHABET = st.sampled_from(
    [
        *["a", "bc", "word ", " ", "  ", "\n", "\t", "漢", "。", "「", "」", "é", "e\u0301", "-"],
        *["👩\u200d👧", "\u2764\ufe0f", "\u00a0", "\u3000", "verylongword" * 2, "\x1b", "\u202e"],
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ALPHABET, max_size=40), st.integers(4, 30), st.data())
def test_the_screen_is_the_same_however_the_text_comes(
    parts: list[str], columns: int, data: st.DataObject
) -> None:
    """The screen does not depend on the pieces in which the text comes."""
    text = "".join(parts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=20)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert screen_of(pieces, columns) == screen_of([text], columns)


def test_every_piece_of_a_word_is_shown_at_once() -> None:
    """Part of a word is shown at once, and moved to the next line if it becomes too long."""
    wrapper = Wrapper(lambda: 10)
    assert [wrapper.add(piece) for piece in ("one", " tw", "o", "-three", " x")] == [
        "one",
        " tw",
        "o",
        "\x1b[4G\x1b[K\ntwo-three",
        "\nx",
    ]


def test_wrapped_text_can_be_copied_unchanged() -> None:
    """No blanks are added, and a long address is not broken, so that it can be copied."""
    address = "https://example.com/" + "a" * 30
    wrapper = Wrapper(lambda: 20)
    written = wrapper.add(f"see {address} for more of it") + wrapper.end()
    assert written == f"see\n{address} for more\nof it"


def test_a_terminal_may_be_resized_in_the_middle() -> None:
    """New lines use the new width, and lines that are shown stay as they are."""
    columns = 20
    wrapper = Wrapper(lambda: columns)
    written = wrapper.add("The sea was so still that ")
    assert written == "The sea was so still\nthat"
    columns = 10
    assert wrapper.add("the ship") == " the\nship"
    columns = 6
    assert wrapper.add("wright") == "wright"  # its first half, "ship", stays where it is
    assert wrapper.add(" came home") == "\ncame\nhome"
    columns = 30
    assert wrapper.add(" again and again") == " again and again"


def test_a_stream_on_a_terminal_is_wrapped_as_it_comes() -> None:
    """On a real terminal, lines are wrapped at 20 columns and, after a resize, at 40."""
    pieces = ["The sea", " was so", " still th", "at the whole", " town heard the", " bell"]
    more = [" of the other", " island that", " morning."]

    def script(_: Received) -> Iterator[Step]:
        yield from texts(*pieces)[:-1]
        terminal.wait_for(" bell")
        terminal.resize(40)
        yield from texts(*more)[1:]

    with (
        Server(script) as server,
        OnTerminal([WRITER, "complete", "p"], env=server.env, columns=20) as terminal,
    ):
        assert terminal.wait() == 0
        assert Screen(40).feed(terminal.raw.decode()).text == (
            "The sea was so still\n"
            "that the whole town\n"
            "heard the bell of the other island that\n"
            "morning."
        )


@pytest.mark.parametrize("flags", [["--no-wrap"], ["--raw"], ["--no-wrap", "-n", "2"]])
def test_no_wrap_and_raw_leave_the_text_unchanged(flags: list[str]) -> None:
    """`--no-wrap` and `--raw` do not wrap the text."""
    arguments = ["complete", "--sandbox", "--max-tokens", "60", "The sea", *flags]
    shown = writer(*arguments, stdout_is_terminal=True).output
    piped = writer(*arguments).output
    longest = max(shown.splitlines(), key=len)
    assert len(longest) > 100
    assert longest in piped.splitlines()


def test_a_terminal_that_cannot_move_its_cursor_wraps_by_itself() -> None:
    """On a dumb terminal the program does not wrap the text."""
    ran = writer("complete", "--sandbox", "The sea", env={"TERM": "dumb"}, stdout_is_terminal=True)
    assert ran.output == writer("complete", "--sandbox", "The sea").output


def test_a_pipe_and_a_file_are_not_wrapped() -> None:
    """Text in a pipe or a file, and JSON anywhere, is not wrapped."""
    piped = writer("complete", "--sandbox", "The sea", env={"COLUMNS": "20"}).output
    assert len(piped.splitlines()[0]) > 80
    arguments = ["complete", "--sandbox", "The sea", "--json"]
    ran = writer(*arguments, env={"COLUMNS": "20"}, stdout_is_terminal=True)
    assert max(map(len, ran.output.splitlines())) > 80


def test_ctrl_c_in_a_wrapped_stream_keeps_the_text_so_far() -> None:
    """After Ctrl-C the words that were shown stay where they are."""
    script = [*texts("The sea was so", " still")[:-1], HANG]
    with (
        Server(script) as server,
        OnTerminal([WRITER, "complete", "p"], env=server.env, columns=12) as terminal,
    ):
        terminal.wait_for("still")
        terminal.type(b"\x03")
        assert terminal.wait() == -signal.SIGINT
        assert Screen(12).feed(terminal.raw.decode()).text.replace("^C", "") == (
            "The sea was\nso still"
        )
