import re

import pytest

from tests.harness.pages import PAGES
from writer_cli.help.page import Page, Row, Section, as_text
from writer_cli.help.topics import TOPICS

EXAMPLE = Page(
    "writer try",
    "Say what a page looks like, in a sentence that is longer than the narrowest page.",
    "writer try [FLAGS]",
    (
        Section("Examples", commands=("writer try --with 'a command line that is never broken'",)),
        Section(
            "Flags",
            ("A note.",),
            (
                Row("-a", "A short flag, with an explanation that needs two lines at eighty."),
                Row("--longer NAME", "Another."),
                Row("--longest one|two|three|four|five", "Its explanation is below it."),
            ),
        ),
    ),
)


def test_a_page_at_eighty_columns() -> None:
    """The column of flags is as wide as the widest flag that has its text beside it."""
    assert (
        as_text(EXAMPLE, 80)
        == """\
Usage: writer try [FLAGS]

Say what a page looks like, in a sentence that is longer than the narrowest
page.

Examples:
  writer try --with 'a command line that is never broken'

Flags:
  A note.
  -a             A short flag, with an explanation that needs two lines at
                 eighty.
  --longer NAME  Another.
  --longest one|two|three|four|five
                 Its explanation is below it.
"""
    )


def test_a_page_at_forty_columns() -> None:
    """On a narrow terminal each text is below its flag, and a command is never broken."""
    assert (
        as_text(EXAMPLE, 40)
        == """\
Usage: writer try [FLAGS]

Say what a page looks like, in a
sentence that is longer than the
narrowest page.

Examples:
  writer try --with 'a command line that is never broken'

Flags:
  A note.
  -a
      A short flag, with an explanation
      that needs two lines at eighty.
  --longer NAME
      Another.
  --longest one|two|three|four|five
      Its explanation is below it.
"""
    )


def test_headings_can_be_bold() -> None:
    """The escape codes of bold headings do not change the layout."""
    bold = as_text(EXAMPLE, 80, bold=True)
    assert re.findall("\x1b\\[1m(.*?)\x1b\\[0m", bold) == ["Usage:", "Examples:", "Flags:"]
    assert re.sub("\x1b\\[\\dm", "", bold) == as_text(EXAMPLE, 80)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize(
    "page", [*PAGES.values(), *(topic() for topic in TOPICS.values())], ids=str
)
def test_no_line_of_prose_is_wider_than_the_terminal(page: Page, width: int) -> None:
    """Only commands, flags with values and URLs may be wider than 40 columns."""
    unbroken = {
        *(command for section in page.sections for command in section.commands),
        *page.terms(),
    }
    for line in as_text(page, width).splitlines():
        assert len(line) <= width or line.strip() in unbroken, line


def test_the_page_of_the_program_fits_a_screen() -> None:
    """`writer --help` has at most 24 lines of 80 columns."""
    assert len(as_text(PAGES[""], 80).splitlines()) <= 24


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_fits_a_screen(topic: str) -> None:
    """A topic has at most 24 lines of 80 columns."""
    assert len(as_text(TOPICS[topic](), 80).splitlines()) <= 24
