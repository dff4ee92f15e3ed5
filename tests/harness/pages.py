"""Parse the help pages of all commands."""

import re

from writer_cli import cli
from writer_cli.help.page import Page

PAGES: dict[str, Page] = {page.name.removeprefix("writer").strip(): page for page in cli.pages()}
"""Each page by the name of its command; "" is the whole program."""


def texts_of(command: str) -> dict[str, str]:
    """Return the description of each flag on a command's page, by the flag's last name."""
    return {
        re.findall(r"--?[\w-]+", row.term)[-1]: row.text
        for section in PAGES[command].sections
        for row in section.rows
        if row.term.startswith("-") and row.term != "-"
    }


def flags_of(command: str) -> set[str]:
    """Return all names of the flags on the page of a command."""
    terms = [term for term in PAGES[command].terms() if re.match(r"--?\w", term)]
    return {flag for term in terms for flag in re.findall(r"(?<![\w-])--?[a-z][\w-]*", term)}
