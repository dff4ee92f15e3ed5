import math
from typing import Any

import pytest

from tests.harness.emulator import Screen, without_styles
from tests.harness.program import Ran, writer
from tests.harness.servers import Server, http
from writer_cli.http.answer_json import UNREADABLE_NUMBER

STORY = "Once upon a time"


def logprobs_answer(**logprobs: Any) -> bytes:
    """Write an answer with one choice of three tokens."""
    return http(200, {"choices": [{"text": "a b\x1b", "logprobs": logprobs}]})


FULL = logprobs_answer(
    tokens=["a", " b", "\x1b"],
    tokenLogprobs=[math.log(0.9), math.log(0.5), math.log(0.1)],
    topLogprobs=[
        {"a": math.log(0.9), "the": math.log(0.1)},
        {" c": "-1.2", " b": "-0.7"},
        None,
    ],
    textOffset=[0, 1, 3],
)

TABLE = """\
chance  token     likeliest
 90.0%  "a"       "a" 90.0%  "the" 10.0%
 50.0%  " b"      " b" 49.7%  " c" 30.1%
 10.0%  "\\u001b"
"""

LEGEND = "probability:  ≥ 70%  30-70%  < 30%"


def shown(answer: bytes, *flags: str, **env: str) -> Ran:
    """Return the output on a terminal for an answer with log probabilities."""
    with Server(answer) as server:
        return writer(
            "complete-custom",
            "--customization-id",
            "c",
            "--logprobs",
            "2",
            *flags,
            STORY,
            env=server.env | env,
            stdout_is_terminal=True,
        )


def plain(ran: Ran) -> str:
    """Return the output without the escape sequences of styles."""
    assert (ran.code, ran.errors) == (0, "")
    return without_styles(ran.output)


def test_a_text_is_shown_in_the_shades_of_its_probabilities() -> None:
    """Likely tokens are green, others yellow or bold red; a legend and a table follow."""
    ran = shown(FULL)
    text, _, legend, *_ = ran.output.splitlines()
    assert text == "\x1b[32ma\x1b[0m \x1b[33mb\x1b[0m\x1b[1;31m␛\x1b[0m"
    assert legend == (
        "probability:  \x1b[32m≥ 70%\x1b[0m  \x1b[33m30-70%\x1b[0m  \x1b[1;31m< 30%\x1b[0m"
    )
    assert plain(ran) == f"a b␛\n\n{LEGEND}\n\n{TABLE}"


def test_without_colour_the_shades_are_underlined_and_reversed() -> None:
    """`NO_COLOR` disables colours and keeps other styles."""
    ran = shown(FULL, NO_COLOR="1")
    text, _, legend, *_ = ran.output.splitlines()
    assert text == "a \x1b[4mb\x1b[0m\x1b[7m␛\x1b[0m"
    assert legend == "probability:  ≥ 70%  \x1b[4m30-70%\x1b[0m  \x1b[7m< 30%\x1b[0m"
    assert plain(ran) == f"a b␛\n\n{LEGEND}\n\n{TABLE}"


def test_a_terminal_without_styles_has_the_text_and_the_table() -> None:
    """A dumb terminal gets the text and the table, without the legend."""
    assert shown(FULL, TERM="dumb") == Ran(0, f"a b␛\n\n{TABLE}", "")


def test_an_empty_no_color_means_nothing() -> None:
    """An empty `NO_COLOR` has no effect, as its convention says."""
    assert "\x1b[32m" in shown(FULL, NO_COLOR="").output


def test_raw_text_has_no_table() -> None:
    """`--raw` prints only the text, unchanged."""
    assert shown(FULL, "--raw") == Ran(0, "a b\x1b\n", "")


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_text_and_table_fit_the_terminal(columns: int) -> None:
    """No line is wider than the terminal, and the table has every number."""
    flags = ["--sandbox", "--logprobs", "5", "--max-tokens", "30", STORY]
    ran = writer("complete", *flags, env={"COLUMNS": str(columns)}, stdout_is_terminal=True)
    lines = plain(ran).splitlines()
    assert max(map(len, lines)) <= columns
    start = next(number for number, line in enumerate(lines) if line.startswith("chance"))
    table = lines[start + 1 :]
    assert sum(line[:6].endswith("%") for line in table) == 30
    column = lines[start].index("likeliest")
    assert {line[column - 2 : column] for line in table} == {"  "}
    assert "".join(line[column:] for line in table).count("%") == 5 * 30


def test_no_wrap_leaves_the_text_to_the_terminal() -> None:
    """`--no-wrap` does not wrap the text, but the table is wrapped."""
    token = "word " * 30
    ran = shown(logprobs_answer(tokens=[token], tokenLogprobs=[-0.1]), "--no-wrap", TERM="dumb")
    assert ran.output.splitlines()[0] == token.rstrip()
    assert max(map(len, ran.output.splitlines()[1:])) <= 80


def test_no_wrap_has_room_for_the_blanks_of_a_tab() -> None:
    """`--no-wrap` does not wrap a text with tabs either."""
    tokens = ["a\tb\tc\td ", "e"]
    ran = shown(logprobs_answer(tokens=tokens), "--no-wrap", TERM="dumb")
    assert ran.output.splitlines()[0] == "a       b       c       d e"


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        (
            logprobs_answer(tokens=["a", " b\n"]),
            'a b\n\nchance  token\n     ?  "a"\n     ?  " b\\n"\n',
        ),
        (
            logprobs_answer(tokens=["a"], tokenLogprobs=[None], topLogprobs=[{"a": None}]),
            'a\n\nchance  token  likeliest\n     ?  "a"    "a" ?\n',
        ),
        (
            # Lists of unequal length, and a probability above 1.
            logprobs_answer(tokens=["a"], tokenLogprobs=[5.0, -1.0], topLogprobs=[None, {}, {}]),
            f'a\n\n{LEGEND}\n\nchance  token\n100.0%  "a"\n',
        ),
        (logprobs_answer(tokens=[]), "a b␛\n"),
        (logprobs_answer(tokens=None), "a b␛\n"),
        (
            logprobs_answer(tokens=["a"], tokenLogprobs=[-800.0]),
            f'a\n\n{LEGEND}\n\nchance  token\n  0.0%  "a"\n',
        ),
        (
            logprobs_answer(tokens=["[red]x[/]:smile:"]),
            '[red]x[/]:smile:\n\nchance  token\n     ?  "[red]x[/]:smile:"\n',
        ),
    ],
)
def test_incomplete_log_probabilities_are_shown(answer: bytes, output: str) -> None:
    """Missing lists or lists of unequal length leave gaps in the table."""
    assert plain(shown(answer)) == output


def test_several_choices_have_a_table_each() -> None:
    """Each choice has its number, its text and its table."""
    choice = {"text": "a", "logprobs": {"tokens": ["a"], "tokenLogprobs": [0.0]}}
    ran = shown(http(200, {"choices": [choice, choice]}), TERM="dumb", COLUMNS="20")
    table = 'a\n\nchance  token\n100.0%  "a"\n'
    assert ran.output == f"── 1 of 2 ──────────\n{table}\n── 2 of 2 ──────────\n{table}"


@pytest.mark.parametrize("token", [-math.inf, math.inf, math.nan])
def test_an_infinite_log_probability_is_left_out(token: float) -> None:
    """An infinite log probability is left out, with a warning."""
    ran = shown(
        logprobs_answer(tokens=["a"], tokenLogprobs=[token], topLogprobs=[{"a": token}]),
    )
    assert ran.errors == f"warning: {UNREADABLE_NUMBER}\n"
    ran = Ran(ran.code, ran.output, "")
    assert plain(ran) == 'a\n\nchance  token  likeliest\n     ?  "a"    "a" ?\n'


def test_wide_characters_keep_the_columns_straight() -> None:
    """The width of a token is counted in terminal cells."""
    ran = shown(
        logprobs_answer(
            tokens=["漢字", "a"], tokenLogprobs=[0, 0], topLogprobs=[{"漢": 0}, {"b": 0}]
        ),
        TERM="dumb",
        COLUMNS="40",
    )
    screen = Screen(40).feed(ran.output.replace("\n", "\r\n"))
    rows = [line for line in screen.lines if line and line[0][0] in " 1"]
    starts = [[cell[0] for cell in line].index('"', 16) for line in rows]
    assert starts == [16, 16]
