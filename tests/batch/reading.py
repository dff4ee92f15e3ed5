"""Read an input from bytes."""

import io
import json
from typing import Any

from writer_cli.batch.records import Format, Reader, Record, Template


def read(text: bytes | str, form: Format = "jsonl", template: str | None = None) -> list[Record]:
    """Read a whole input."""
    raw = text.encode() if isinstance(text, str) else text
    return list(Reader(io.BytesIO(raw), form, None if template is None else Template(template)))


def prompts(text: bytes | str, form: Format = "jsonl", template: str | None = None) -> list[Any]:
    """Return the prompts of an input, none of whose records has a problem."""
    records = read(text, form, template)
    assert [record.problem for record in records] == [None] * len(records)
    return [record.prompt for record in records]


def problem(text: bytes | str, form: Format = "jsonl", template: str | None = None) -> str:
    """Return the error of the only record of an input."""
    [record] = read(text, form, template)
    assert record.prompt is None
    assert record.problem is not None
    return record.problem


def json_line(**content: Any) -> str:
    """Write a record as a line of JSON."""
    return json.dumps(content) + "\n"
