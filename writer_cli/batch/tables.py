"""The output formats of a batch beside JSON lines."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from writer_cli.batch.journal import Journal, record_of

OutputFormat = Literal["jsonl", "csv", "txt"]


ENDINGS: dict[str, OutputFormat] = {".csv": "csv", ".txt": "txt"}
"""The format of an output by the end of its name; any other name has JSON lines."""


def format_of(output: Path, given: OutputFormat | None) -> OutputFormat:
    """Return the format of an output, as it is given or by the end of its name."""
    return given or ENDINGS.get(output.suffix.lower(), "jsonl")


def rows(
    journal: Journal, output_format: OutputFormat, *, include_prompt: bool = False
) -> Iterator[bytes]:
    """Yield a whole table: its first line, and the results in the order of the journal."""
    yield first_row(output_format, include_prompt=include_prompt)
    for line in journal.lines():
        yield rows_of(line, output_format, include_prompt=include_prompt)


def first_row(output_format: OutputFormat, *, include_prompt: bool) -> bytes:
    """Return what stands above the results: the names of the columns of `csv`, else nothing."""
    if output_format != "csv":
        return b""
    return _row([*_columns(include_prompt=include_prompt), "choice", "text", "error"])


def rows_of(line: bytes, output_format: OutputFormat, *, include_prompt: bool) -> bytes:
    """Return a result, which is a line of JSON, in another format.

    `csv` has a row for each choice, or one with the error; `txt` a line for each record, its first
    text with line breaks and backslashes escaped, empty if it failed.
    """
    if output_format == "jsonl":
        return line
    record: dict[str, Any] = record_of(line)
    if output_format == "csv":
        start = [record.get(column, "") for column in _columns(include_prompt=include_prompt)]
        return b"".join(_row([*start, *rest]) for rest in _choices(record))
    texts = [choice["text"] for choice in record.get("choices", [])]
    return (_one_line(texts[0]) if texts else "").encode("utf-8", "replace") + b"\n"


def _columns(*, include_prompt: bool) -> list[str]:
    return ["index", "id", *(["prompt"] if include_prompt else [])]


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
