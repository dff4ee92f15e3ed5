"""Write the man pages from the same texts as the help (`make man`)."""

import re
import sys
import tomllib
from collections.abc import Iterator

from tests.harness.documents import ROOT, read
from tests.harness.pages import PAGES
from writer_cli import __version__
from writer_cli.help.page import Page, Row, Section
from writer_cli.help.topics import TOPICS

FOLDER = ROOT / "man"

TOPIC_SECTIONS = {"exit-codes": "EXIT STATUS", "environment": "ENVIRONMENT"}
"""The topics that writer(1) has, and the usual headings for them in a man page."""

FLAG = re.compile(r"(?<![\w-])--?[a-z][\w-]*")

SPECIAL = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}
"""Characters that groff would treat as commands, or print as other characters."""


def man_pages() -> dict[str, str]:
    """Return the text of every man page, by file name.

    The commands of a group, such as `config`, are described in the page of the group.
    """
    groups = {page.name for page in PAGES.values() if page.usage.startswith(f"{page.name} COMMAND")}
    groups.remove("writer")
    alone = [page for page in PAGES.values() if page.name.rpartition(" ")[0] not in groups]
    names = [page.name.replace(" ", "-") for page in alone]
    made = {}
    for name, page in zip(names, alone, strict=True):
        lines = [*_title(name, page), *_body(page, "SH")]
        if page.name in groups:
            for member in PAGES.values():
                if member.name.startswith(f"{page.name} "):
                    lines += [f".SH {_escaped(member.name)}", _synopsis(member)]
                    lines += [".PP", _prose(member.summary), *_body(member, "SS")]
        if page.name == "writer":
            for topic, heading in TOPIC_SECTIONS.items():
                shown = TOPICS[topic]()
                lines += _section(Section(heading, (shown.summary,), _rows(shown)), "SH")
        others = [one for one in names if one != name] if page.name == "writer" else ["writer"]
        lines += [".SH SEE ALSO", ", ".join(rf"\fB{_escaped(one)}\fR(1)" for one in others)]
        made[f"{name}.1"] = "\n".join(lines) + "\n"
    return made


def _rows(page: Page) -> tuple[Row, ...]:
    return tuple(row for section in page.sections for row in section.rows)


def _title(man_name: str, page: Page) -> Iterator[str]:
    summary = page.summary or tomllib.loads(read("pyproject.toml"))["project"]["description"]
    yield r".\" Made by `make man` from the texts of the help. Do not edit."
    yield f'.TH {_escaped(man_name.upper())} 1 "" "writer {__version__}" "User Commands"'
    yield from (".nr HY 0", ".nh", ".ad l")  # no hyphens inside words, no wide gaps between them
    yield ".SH NAME"
    yield rf"{_escaped(man_name)} \- {_escaped(summary[0].lower() + summary[1:].rstrip('.'))}"
    yield ".SH SYNOPSIS"
    yield _synopsis(page)
    yield ".SH DESCRIPTION"
    yield _prose(summary)


def _synopsis(page: Page) -> str:
    return rf"\fB{_escaped(page.name)}\fR{_escaped(page.usage.removeprefix(page.name))}"


def _body(page: Page, macro: str) -> Iterator[str]:
    """Yield the page after the summary, beginning with what has no heading."""
    for section in sorted(page.sections, key=lambda one: one.heading != ""):
        yield from _section(section, macro)


def _section(section: Section, macro: str) -> Iterator[str]:
    if section.heading:
        is_words = section.heading.replace(" ", "").isalpha() and macro == "SH"
        heading = section.heading.upper() if is_words else section.heading
        yield f".{macro} {_escaped(heading)}"
    for paragraph in section.paragraphs:
        yield from (".PP", _prose(paragraph))
    for term, text in section.rows:
        marked = FLAG.sub(r"`\g<0>`", term)
        yield from (".TP", _prose(marked if marked != term else f"`{term}`"), _prose(text))
    if section.commands:
        yield from (".PP", ".RS 4", ".EX")
        yield from (_escaped(command) for command in section.commands)
        yield from (".EE", ".RE")


def _prose(text: str) -> str:
    """Return a text in which words between backticks are bold."""
    parts = [_escaped(part) for part in text.split("`")]
    return "".join(rf"\fB{part}\fR" if at % 2 else part for at, part in enumerate(parts))


def _escaped(text: str) -> str:
    r"""Return a text as roff, in ASCII. A leading dot gets a `\&`, so that it is no command."""
    shown = "".join(
        SPECIAL.get(one, one if one.isascii() else f"\\[u{ord(one):04X}]") for one in text
    )
    return rf"\&{shown}" if shown.startswith(".") else shown


def main() -> None:
    """Write every man page, and delete those of commands that no longer exist."""
    FOLDER.mkdir(exist_ok=True)
    made = man_pages()
    for path in FOLDER.iterdir():
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="ascii")
    sys.stdout.write(f"{len(made)} pages in {FOLDER.relative_to(ROOT)}/\n")


if __name__ == "__main__":
    main()
