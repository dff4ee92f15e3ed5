"""Results as JSON documents and as tables."""

from collections.abc import Sequence
from typing import Any

from writer_cli.output.terminal import Terminal, escaped_json, visible

JSON_VERSION = 1
"""The version of the JSON results; new keys keep the number, renamed or removed keys change it."""


def json_document(terminal: Terminal, value: dict[str, Any]) -> str:
    """Return a JSON document: in one line, or indented on a terminal."""
    import json

    indent = 2 if terminal.stdout_is_terminal else None
    return escaped_json(json.dumps(value, ensure_ascii=False, indent=indent)) + "\n"


def write_json(terminal: Terminal, **result: Any) -> None:
    """Write a JSON document with its version to standard output."""
    terminal.write(json_document(terminal, {"version": JSON_VERSION, **result}))


def table(terminal: Terminal, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table for a terminal; for a pipe, tab-separated rows without headers."""
    if not terminal.stdout_is_terminal:
        return "".join("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in rows)
    from rich.table import Table
    from rich.text import Text

    from writer_cli.output.drawn import drawn

    drawing = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        drawing.add_column(header, overflow="fold")
    for row in rows:
        drawing.add_row(*(Text(visible(cell)) for cell in row))
    return drawn(drawing, terminal)
