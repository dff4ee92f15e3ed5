"""Tokens and their probabilities on a terminal: the text in shades, and a table of all tokens."""

import json
import math
from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells
from rich.table import Table
from rich.text import Text

from writer_cli.output.drawn import drawn
from writer_cli.output.terminal import Terminal, visible

if TYPE_CHECKING:
    from writer_cli.models import CompletionGenerationChoiceLogprobs

SHADES = (
    (0.7, "≥ 70%", "green", ""),
    (0.3, "30-70%", "yellow", "underline"),
    (0.0, "< 30%", "bold red", "reverse"),
)
"""Each shade: its least probability, its name, its style, and its style without colour."""

LONGEST_TOKEN = 20
"""The most cells of a token in one line of the table, or 30 % of the terminal if that is less."""

GAP = 2
"""Cells between two columns of the table."""


def view(logprobs: "CompletionGenerationChoiceLogprobs", terminal: Terminal, *, wrap: bool) -> str:
    """Return the text of the tokens in shades, what the shades mean, and a table of the tokens.

    Without colour the shades are underlined and reversed text; a terminal that has neither gets
    the plain text. The numbers stand in the table in any case.
    """
    tokens = logprobs.tokens or []
    chances = [_probability(p) for p in logprobs.token_logprobs or []]
    chances += [None] * (len(tokens) - len(chances))
    tops = list(logprobs.top_logprobs or [])
    tops += [None] * (len(tokens) - len(tops))
    text = Text()
    for token, chance in zip(tokens, chances, strict=False):
        word = token.lstrip()
        text.append(visible(token.removesuffix(word)))
        text.append(visible(word), _shade(chance, terminal))
    if text.plain.endswith("\n"):
        text.right_crop()
    text.expand_tabs()
    result = drawn(text, terminal, width=None if wrap else max(1, cell_len(text.plain)))
    if terminal.stdout_can_draw and any(chance is not None for chance in chances):
        legend = Text("\nprobability:")
        for least, name, *_ in SHADES:
            legend.append("  ").append(name, _shade(least, terminal))
        result += drawn(legend, terminal)
    rows = []
    for token, chance, top in zip(tokens, chances, tops, strict=False):
        ranked = sorted((top or {}).items(), key=lambda item: -(item[1] or -math.inf))
        likeliest = [f"{_quoted(t)} {_percent(_probability(p))}" for t, p in ranked]
        rows.append((chance, _quoted(token), likeliest))
    return f"{result}\n{drawn(_table(rows, terminal), terminal)}"


def _table(rows: "list[tuple[float | None, str, list[str]]]", terminal: Terminal) -> Table:
    """Return a table of the probability, the token, and the likeliest tokens in its place."""
    chance_width = len("chance")
    longest = min(LONGEST_TOKEN, terminal.width * 3 // 10)
    token_width = max(len("token"), min(longest, max(cell_len(token) for _, token, _ in rows)))
    rest = max(1, terminal.width - chance_width - token_width - 2 * GAP)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    table.add_column(Text("chance", "bold"), justify="right", width=chance_width)
    table.add_column(Text("token", "bold"), width=token_width)
    if any(likeliest for _, _, likeliest in rows):
        table.add_column(Text("likeliest", "bold"), width=rest)
    for chance, token, likeliest in rows:
        cells = [
            Text(_percent(chance), _shade(chance, terminal)),
            Text("\n".join(chop_cells(token, token_width))),
            Text("\n".join(_packed(likeliest, rest))),
        ]
        table.add_row(*cells[: len(table.columns)])
    return table


def _packed(items: list[str], width: int) -> list[str]:
    """Return lines that have as many of the items as fit, and break an item only if it is alone."""
    lines: list[str] = []
    for item in items:
        if lines and cell_len(lines[-1]) + GAP + cell_len(item) <= width:
            lines[-1] += " " * GAP + item
        else:
            lines += chop_cells(item, width)
    return lines


def _shade(chance: float | None, terminal: Terminal) -> str:
    if chance is None:
        return ""
    colored, plain = next(styles for least, _, *styles in SHADES if chance >= least)
    return colored if terminal.stdout_shows_color else plain


def _probability(logprob: float | None) -> float | None:
    return None if logprob is None else math.exp(min(logprob, 0.0))


def _percent(chance: float | None) -> str:
    return "?" if chance is None else f"{chance:.1%}"


def _quoted(token: str) -> str:
    """Return a token in quotation marks, with what cannot be seen as escapes."""
    return visible(json.dumps(token, ensure_ascii=False))
