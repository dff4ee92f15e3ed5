"""A journal in the other forms that an output can have."""

import csv
import io
from collections.abc import Iterator
from typing import Any, Literal

from writer_cli.batch.journal import Journal, record_of

OutputFormat = Literal["jsonl", "csv", "txt"]


def rows(journal: Journal, form: OutputFormat, *, include_prompt: bool = False) -> Iterator[bytes]:
    """Yield the results in the order of the journal.

    `csv` has a row for each choice, or one with the error; `txt` a line for each record, its first
    text with line breaks and backslashes escaped, empty if it failed.
    """
    columns = ["index", "id", *(["prompt"] if include_prompt else [])]
    if form == "csv":
        yield _row([*columns, "choice", "text", "error"])
    for line in journal.lines():
        record: dict[str, Any] = record_of(line)
        if form == "csv":
            start = [record.get(column, "") for column in columns]
            yield from (_row([*start, *rest]) for rest in _choices(record))
        else:
            texts = [choice["text"] for choice in record.get("choices", [])]
            yield (_one_line(texts[0]) if texts else "").encode("utf-8", "replace") + b"\n"


def _choices(record: dict[str, Any]) -> Iterator[list[Any]]:
    if "error" in record:
        yield ["", "", record["error"]["message"]]
    for choice in record.get("choices", []):
        yield [choice["index"], choice["text"], ""]


def _row(cells: list[Any]) -> bytes:
    text = io.StringIO()
    # With this end of a line, a carriage return within a cell is quoted too, by any Python.
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n").encode("utf-8", "replace") + b"\n"


def _one_line(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")
