"""An input as numbered lines: objects that may become records, or what is wrong with them.

Blank lines are left out. Nothing is ever read but the next line, or the next row of a table.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Literal

from writer_cli.errors import UsageError

Numbered = tuple[int, dict[str, Any] | str]
"""The number of a line, from 1, and the object that it holds, or a text: what is wrong with it."""

Format = Literal["jsonl", "csv", "tsv", "txt"]

LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of a line, and of a field of a CSV file."""

FIELDS: dict[str, type] = {
    "max_tokens": int,
    "min_tokens": int,
    "temperature": float,
    "top_p": float,
    "stop": list,
    "presence_penalty": float,
    "frequency_penalty": float,
    "best_of": int,
    "n": int,
    "logprobs": int,
    "random_seed": int,
}
"""What a record may say about its own generation; a number that is no whole one may be an `int`."""

TYPE_NAMES = {int: "a whole number", float: "a number", list: "a list of texts"}
"""The kinds of fields in the words of a message."""

LONGEST_QUOTE = 60
"""Characters of a value that a message about it shows."""

SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a pair, which JSON can say and UTF-8 cannot; or a byte that was not UTF-8."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Lines:
    """The lines of a stream of bytes.

    Args:
        stream: The input.
        wanted: The columns that a table must have.

    `bytes_read` grows while lines are read.
    """

    def __init__(self, stream: BinaryIO, wanted: frozenset[str]) -> None:
        self.bytes_read = 0
        self._stream = stream
        self._wanted = wanted

    def of(self, form: Format) -> Iterator[Numbered]:
        """Yield what the lines hold. Raises `UsageError` where none of them can be right."""
        if form == "jsonl":
            return self._json_lines()
        if form == "txt":
            return self._text_lines()
        return self._table("," if form == "csv" else "\t")

    def _lines(self) -> Iterator[bytes | None]:
        """Yield the lines, None for one that is too long."""
        line = self._stream.readline(LONGEST_LINE)
        self.bytes_read = len(line)
        if line.startswith(_UTF_16_MARKS):
            raise UsageError(
                "the input is UTF-16 and not UTF-8", hint="convert it: iconv -f UTF-16 -t UTF-8"
            )
        line = line.removeprefix(_BYTE_ORDER_MARK)
        while line:
            if len(line) < LONGEST_LINE or line.endswith(b"\n"):
                yield line
            else:
                while line and not line.endswith(b"\n"):
                    line = self._stream.readline(LONGEST_LINE)
                    self.bytes_read += len(line)
                yield None
            line = self._stream.readline(LONGEST_LINE)
            self.bytes_read += len(line)

    def _decoded(self) -> Iterator[tuple[int, str | None, str]]:
        """Yield the number of each line, its text or None, and else what is wrong with it."""
        for number, raw in enumerate(self._lines(), 1):
            if raw is None:
                yield number, None, _TOO_LONG
                continue
            text = raw.removesuffix(b"\n").removesuffix(b"\r")
            if b"\0" in text:
                yield number, None, f"a NUL byte at column {text.index(0) + 1}"
                continue
            try:
                yield number, text.decode(), ""
            except UnicodeDecodeError as error:
                yield number, None, f"not UTF-8 at column {error.start + 1}"

    def _json_lines(self) -> Iterator[Numbered]:
        for number, line, problem in self._decoded():
            if line is None:
                yield number, problem
            elif line.strip():
                yield number, _json_object(line)

    def _text_lines(self) -> Iterator[Numbered]:
        for number, line, problem in self._decoded():
            if line is None:
                yield number, problem
            elif line.strip():
                yield number, {"prompt": line}

    def _table(self, delimiter: str) -> Iterator[Numbered]:
        csv.field_size_limit(LONGEST_LINE)
        # Bytes that are not UTF-8 come through as lone surrogates, and are found in their cell;
        # so is the stand-in of a line that is too long.
        lines = (
            f"{_STAND_IN}\n" if line is None else line.decode("utf-8", "surrogateescape")
            for line in self._lines()
        )
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        header: list[str] | None = None
        while True:
            began = rows.line_num + 1
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                row, problem = [], f"not a row of a table: {error}"
                if rows.line_num > began:
                    problem += f"; it began in line {began}: does a quotation mark lack its other?"
                if header is None:
                    raise self._bad_header(problem) from None
                yield rows.line_num, problem
            if not row:
                continue
            if header is None:
                header = [name.strip() for name in row]
                self._check_header(header)
                continue
            yield rows.line_num, _cells(header, row)

    def _check_header(self, header: list[str]) -> None:
        """Refuse a table none of whose rows could become a prompt."""
        problem = next((_damage(name) for name in header if _damage(name)), None)
        if problem is not None:
            raise self._bad_header(problem)
        for name, count in Counter(header).items():
            if count > 1:
                raise self._bad_header(f"there are {count} columns {quoted(name)}")
        for name in sorted(self._wanted.difference(header)):
            raise self._bad_header(f"there is no column {quoted(name)}; {names_in(header)}")

    def _bad_header(self, problem: str) -> UsageError:
        return UsageError(
            f"the first line, which names the columns: {problem}",
            hint="a prompt is in the column prompt, or made by --template of other columns",
        )


def _json_object(line: str) -> Any:
    try:
        parsed = json.loads(line, object_pairs_hook=_without_twins, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        reason = error.msg.removesuffix(" at").replace("\n", " ")
        return f"not JSON: {reason[0].lower()}{reason[1:]}, at column {error.colno}"
    except RecursionError:
        return "nested too deeply"
    except ValueError as error:
        return str(error)
    return parsed if isinstance(parsed, dict) else "not a JSON object"


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {quoted(name)} is there more than once")
    return content


def _no_number(name: str) -> Any:
    raise ValueError(f"not JSON: {name} is not a number there")


def _cells(header: list[str], row: list[str]) -> Any:
    """Return the cells of a row by their column, the generation fields among them as values."""
    if len(row) != len(header):
        if any(_damage(cell) == _TOO_LONG for cell in row):
            return _TOO_LONG
        return f"the number of cells is {len(row)}, and of columns {len(header)}"
    cells: dict[str, Any] = {}
    for name, cell in zip(header, row, strict=True):
        problem = _damage(cell)
        if problem is not None:
            return f"{name}: {problem}"
        if name not in FIELDS:
            cells[name] = cell
        elif cell:
            try:
                value = json.loads(cell, parse_constant=_no_number)
            except (ValueError, RecursionError):
                form = " in JSON" if FIELDS[name] is list else ""
                return f"{name}: {quoted(cell)} is not {TYPE_NAMES[FIELDS[name]]}{form}"
            # A column of whole numbers that has gaps is often written as 5.0.
            is_whole = FIELDS[name] is int and isinstance(value, float) and value.is_integer()
            cells[name] = int(value) if is_whole else value
    if cells.get("id") == "":
        del cells["id"]
    return cells


_TOO_LONG = f"longer than {LONGEST_LINE // 2**20} MiB"
_STAND_IN = "\udbff"


def _damage(cell: str) -> str | None:
    """Return what is wrong with the text of a cell, if anything."""
    if "\0" in cell:
        return "a NUL byte"
    if not cell.isascii() and SURROGATE.search(cell):
        return _TOO_LONG if _STAND_IN in cell else "not UTF-8"
    return None


def quoted(value: Any) -> str:
    """Return a value as a message shows it."""
    text = repr(value)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def names_in(known: Iterable[str]) -> str:
    """Say what a record has, for somebody who looks for something else in it."""
    text = ", ".join(sorted(known))
    if len(text) > LONGEST_QUOTE:
        text = f"{text[:LONGEST_QUOTE]}…"
    return f"there is: {text}" if text else "there is nothing"
