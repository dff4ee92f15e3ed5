"""A journal in the other forms that an output can have."""

import csv
import io
from collections.abc import Iterator
from typing import Any, Literal

from writer_cli.batch.journal import Journal, record_of

OutputFormat = Literal["jsonl", "csv", "txt"]


def rows(journal: Journal, form: OutputFormat) -> Iterator[bytes]:
    """Yield the results in the order of the journal.

    `csv` has a row for each choice, or one with the error; `txt` a line for each record, its first
    text with line breaks and backslashes escaped, empty if it failed.
    """
    if form == "csv":
        yield _row(["index", "id", "choice", "text", "error"])
    for line in journal.lines():
        record: dict[str, Any] = record_of(line)
        if form == "csv":
            yield from map(_row, _choices(record))
        else:
            texts = [choice["text"] for choice in record.get("choices", [])]
            yield (_one_line(texts[0]) if texts else "").encode("utf-8", "replace") + b"\n"


def _choices(record: dict[str, Any]) -> Iterator[list[Any]]:
    start = [record["index"], record.get("id", "")]
    if "error" in record:
        yield [*start, "", "", record["error"]["message"]]
    for choice in record.get("choices", []):
        yield [*start, choice["index"], choice["text"], ""]


def _row(cells: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "replace")


def _one_line(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")
