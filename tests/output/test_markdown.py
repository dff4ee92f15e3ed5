import random
import re
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.emulator import Screen, without_styles
from tests.harness.events import event, stream, texts
from tests.harness.program import WRITER, Ran, writer
from tests.harness.pseudo_terminal import OnTerminal
from tests.harness.servers import HANG, Server, completion, http
from writer_cli.output.markdown import MarkdownBlocks
from writer_cli.output.terminal import Terminal, visible

DOCUMENT = """\
# Tea

Tea is *not* coffee, and `tea` is **not** written with a [capital](https://example.com/t) letter.

## Kinds

- green
- black, which is
  - strong
  - dark and so on until the end of the line is reached and it goes on

1. boil
2. wait

| kind | minutes |
|------|--------:|
| green | 2 |
| black, strong | 4 |

```python
def wait(minutes: int) -> str:
    return "tea"  # at last
```

> A quotation
> of two lines.

---

The end, <b>really</b>.
"""

AT_40 = """\
                  Tea

Tea is not coffee, and tea is not
written with a capital
(https://example.com/t) letter.

Kinds

 • green
 • black, which is
    • strong
    • dark and so on until the end of
      the line is reached and it goes on

 1 boil
 2 wait


 kind           minutes
 ──────────────────────
 green                2
 black, strong        4


python ─────────────────────────────────
def wait(minutes: int) -> str:
    return "tea"  # at last
────────────────────────────────────────

▌ A quotation of two lines.

----------------------------------------

The end, <b>really</b>."""


def terminal_of(columns: int, **env: str) -> Terminal:
    """Return a terminal in memory."""
    return Terminal.fake(stdout_is_terminal=True, env={"COLUMNS": str(columns), **env})


def drawn(
    source: str, columns: int, *, seed: int | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Return the output for a text that comes in one piece, or in random pieces with a seed."""
    blocks = MarkdownBlocks(terminal_of(columns, **(env or {})))
    chance, written, at = random.Random(seed), "", 0  # noqa: S311 - no secret
    while at < len(source):
        size = len(source) if seed is None else chance.randint(1, 30)
        written += blocks.add(source[at : at + size])
        at += size
    return written + blocks.end()


def test_headings_lists_tables_and_code_are_drawn() -> None:
    """The output fits the width of the terminal."""
    assert Screen().feed(drawn(DOCUMENT, 40).replace("\n", "\r\n")).text == AT_40


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_blocks_together_are_the_whole_text_drawn_at_once(columns: int) -> None:
    """The output does not depend on the pieces, and no line is too long."""
    blocks = MarkdownBlocks(terminal_of(columns))
    assert blocks.add(DOCUMENT.replace("\n", "\0")) == ""  # no block is complete without a line end
    whole = drawn(DOCUMENT, columns)
    for seed in range(5):
        assert drawn(DOCUMENT, columns, seed=seed) == whole
    plain = without_styles(whole)
    assert max(map(len, plain.splitlines())) <= columns


PARTS = st.sampled_from(
    [
        *["\n", "\n\n", "# ", "- ", "1. ", "> ", "```", "```py\n", "| a | b |\n|-|-|\n", "| x |"],
        *["*", "**", "_", "`", "[l](http://u)", "![i](u)", "<b>", "&#8238;", "&#27;", "---\n"],
        *["===\n", "    ", "  \n", "word ", "\\", "<http://a.b>", "~~", "\x1b]8;;x\x07", "漢字"],
        *["\t", "[x]: u\n", "[x]", "\r\n", "\u2028", "<!-- c -->", "[b]rich[/b]", ":smile:"],
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(PARTS, max_size=20), st.integers(0, 9))
def test_any_markdown_is_drawn_without_its_escape_sequences(parts: list[str], seed: int) -> None:
    """Any text gives the same output in pieces, with no escape sequences but styles."""
    source = "".join(parts)
    written = drawn(source, 30, seed=seed)
    assert written == drawn(source, 30)
    assert set(re.findall("\x1b.", written)) <= {"\x1b["}
    plain = without_styles(written)
    assert visible(plain) == plain


def test_an_address_is_shown_and_nothing_is_hidden() -> None:
    """A link shows its target; HTML, references and rich's markup are shown as text."""
    source = "[safe](https://evil.example) <i>x</i> [b]y[/b] [ref][1]\n\n[1]: https://other.example"
    text = Screen().feed(drawn(source, 200).replace("\n", "\r\n")).text
    assert text == (
        "safe (https://evil.example) <i>x</i> [b]y[/b] [ref][1]\n\n[1]: https://other.example"
    )


def test_a_list_is_drawn_when_the_next_block_begins() -> None:
    """A list is drawn only when no further item can come."""
    blocks = MarkdownBlocks(terminal_of(80))
    assert blocks.add("- one\n- two\n\n") == ""
    assert "one" in blocks.add("Text\n")
    assert blocks.add("\n# Heading\n").split() == ["Text"]
    assert "Heading" in blocks.end()


def test_the_end_of_a_long_block_is_noticed_a_little_later() -> None:
    """A long block is parsed less often, so that the time does not grow quadratically."""
    blocks = MarkdownBlocks(terminal_of(80))
    for number in range(60):
        assert blocks.add(f"- item {number}\n") == ""
    drawn_by = [blocks.add(text) for text in ("\n", "Text\n", "\n", "More\n", "\n")]
    assert [text.count("item") for text in drawn_by if text] == [60]
    assert blocks.end().split()[-1] == "More"


@pytest.mark.parametrize(
    ("env", "heading"),
    [
        ({}, "\x1b[4;35mKinds\x1b[0m"),
        ({"NO_COLOR": "1"}, "\x1b[4mKinds\x1b[0m"),
        ({"TERM": "dumb"}, "Kinds"),
    ],
)
def test_markdown_reads_without_colour(env: dict[str, str], heading: str) -> None:
    """NO_COLOR keeps bold and underline; a dumb terminal has neither."""
    assert heading in drawn("## Kinds\n", 80, env=env).splitlines()


def test_a_pipe_gets_markdown_as_it_came() -> None:
    """In a pipe, a file and JSON the text is not changed."""
    with Server(completion(DOCUMENT)) as server:
        ran = writer("complete", "--markdown", "p", env=server.env)
        assert ran == Ran(0, DOCUMENT, "")


def test_markdown_on_a_terminal_comes_block_by_block() -> None:
    """A real terminal shows each block while the rest is awaited, and no spinner remains."""
    whole = [*texts("# Ti", "tle\n\nTe", "xt\n\n", "- last")]
    with (
        Server([*whole[:-2], HANG]) as server,
        OnTerminal([WRITER, "complete", "--markdown", "p"], env=server.env) as terminal,
    ):
        terminal.wait_for("Title")
        terminal.wait_for("is writing")
        terminal.type(b"\x03")
        assert terminal.wait() == -2
        text = Screen(80).feed(terminal.raw.decode())
    assert text.text.replace("^C", "").split() == ["Title", "Text"]
    assert text.cursor


def test_markdown_that_streams_to_a_terminal_is_drawn_whole() -> None:
    """A stream is drawn completely, however it is cut."""
    with Server(texts("# Ti", "tle\n\nTe", "xt\n\n", "- last")) as server:
        ran = writer("complete", "--markdown", "p", env=server.env, stdout_is_terminal=True)
    assert (ran.code, ran.errors) == (0, "")
    assert re.sub("\x1b[^a-zA-Z]*[a-zA-Z]", "", ran.output).split() == [
        "Title",
        "Text",
        "•",
        "last",
    ]


def test_several_choices_are_drawn_below_their_numbers() -> None:
    """Each choice has a line with its number and its finish reason, if there is one."""
    answer = {
        "choices": [
            {"text": "# one", "finish_reason": "stop"},
            {"text": "two", "finish_reason": "length\x1b and more of that"},
            {"text": "three"},
        ]
    }
    with Server(http(200, answer)) as server:
        ran = writer(
            *("complete", "--api", "openai", "--base-url", server.url, "-n", "3", "p"),
            *("--markdown", "-m", "m"),
            env={"COLUMNS": "40"},
            stdout_is_terminal=True,
        )
    assert Screen(40).feed(ran.output.replace("\n", "\r\n")).text.split("\n") == [
        "── 1 of 3 · stop ───────────────────────",
        "                  one",
        "",
        "── 2 of 3 · length␛ and more of ────────",
        "two",
        "",
        "── 3 of 3 ──────────────────────────────",
        "three",
    ]
    assert ran.output.startswith("\x1b[2m── 1 of 3")


@pytest.mark.parametrize("flags", [["--raw"], ["--logprobs", "2"]])
def test_markdown_excludes_other_output_flags(flags: list[str]) -> None:
    """`--markdown` with another output flag is an error before anything is sent."""
    ran = writer("complete", "--sandbox", "--markdown", *flags, "p")
    said = f"error: --markdown and {flags[0]} exclude each other\nhint: leave one out\n"
    assert ran == Ran(2, "", said)


def test_a_cut_stream_of_markdown_shows_the_text_so_far() -> None:
    """The text so far is drawn, and the error is below it."""
    with Server(stream(event("# Title\n\n"), event("te"), b"data: {")) as server:
        env = server.env | {"COLUMNS": "40"}
        ran = writer("complete", "--markdown", "p", env=env, stdout_is_terminal=True)
    assert ran.code == 9
    assert Screen(40).feed(ran.output.replace("\n", "\r\n")).text.split() == ["Title", "te"]
    assert ran.errors.startswith("error: ")
