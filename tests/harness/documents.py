"""Parse the documents of the project: blocks of code, tables, links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$\n?", re.MULTILINE | re.DOTALL)

SHELLS = {"sh", "bash", "console"}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    `shown` is the text of a `text` or `json` block that follows with nothing between: it is what
    the code prints.
    """

    document: str
    line: int
    language: str
    text: str
    shown: str | None = None

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def read(document: str) -> str:
    """Return the text of a document."""
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str) -> Iterator[Block]:
    """Yield the blocks of code in a document, each with what it shows."""
    text = read(document)
    held: Block | None = None
    end = 0
    for match in FENCE.finditer(text):
        follows = held is not None and not text[end : match.start()].strip()
        if held is not None and follows and match[1] in {"text", "json"}:
            yield replace(held, shown=match[2])
            held = None
        else:
            if held is not None:
                yield held
            line = text.count("\n", 0, match.start()) + 1
            held = Block(document, line, match[1], match[2])
        end = match.end()
    if held is not None:
        yield held


def action_steps() -> list[str]:
    """Return the shell commands of action.yml, one for each step that has any."""
    return re.findall(r"^ +run: (.+)$", read("action.yml"), re.MULTILINE)


def prose(document: str) -> str:
    """Return a document without its blocks of code."""
    return FENCE.sub("", read(document))


def table(document: str, *headers: str) -> list[list[str]]:
    """Return the rows of the tables with these headers; fail if there is none."""
    rows = []
    lines = iter(prose(document).splitlines())
    for line in lines:
        if line.startswith("|") and _cells(line)[: len(headers)] == list(headers):
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    break
                rows.append(_cells(row))
    assert rows, f"{document} has no table {headers}"
    return rows


def _cells(row: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", row.strip())[1:-1]
    return [cell.strip().replace(r"\|", "|").replace(r"\*", "*") for cell in cells]


def section(document: str, heading: str) -> str:
    """Return the text below a heading, up to the next heading of the same or a higher level."""
    match = re.search(rf"^(#+) {re.escape(heading)}\n", read(document), re.MULTILINE)
    assert match, f"{document} has no heading {heading!r}"
    rest = read(document)[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def anchors(document: str) -> list[str]:
    """Return the anchors of the headings as a browser needs them, duplicates included."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def links(document: str) -> list[str]:
    """Return the targets of a document's links."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(document))


def commands(block: Block) -> list[str]:
    """Return the command lines of a block, continued lines joined to one."""
    text = block.text
    if block.language == "console":
        lines = [line for line in text.splitlines() if re.match(r"[$>] ", line)]
        text = "".join(f"{line[2:]}\n" for line in lines)
    return re.sub(r"\\\n\s*", "", text).splitlines()


def console(block: Block) -> list[tuple[str, str]]:
    """Return the commands of a `console` block, each with its output."""
    turns = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
    pairs = []
    for turn in turns:
        command, output = [], turn.splitlines(keepends=True)
        command.append(output.pop(0))
        while output and output[0].startswith("> "):
            command.append(output.pop(0)[2:])
        pairs.append(("".join(command), "".join(output)))
    return pairs
