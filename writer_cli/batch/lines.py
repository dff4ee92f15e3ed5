"""The lines of an input: each becomes an object, or a description of what is wrong with it.

Blank lines are skipped. Only one line, or one row of a table, is in memory at a time.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Literal

from writer_cli.errors import UsageError

Numbered = tuple[int, dict[str, Any] | str]
"""The number of a line, from 1, with its object, or with a string that says what is wrong."""

Format = Literal["jsonl", "csv", "tsv", "txt"]

LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of a line, and of a CSV field, at most."""

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
"""The generation fields of a record and their types; a `float` field may also be an `int`."""

TYPE_NAMES = {int: "a whole number", float: "a number", list: "a list of strings"}
"""The names of the types in messages."""

LONGEST_QUOTE = 60
"""Characters of a value that a message shows."""

SURROGATE = re.compile("[\ud800-\udfff]")
"""A lone surrogate, which UTF-8 cannot encode. JSON can contain it, and Python uses it for a byte
that is not UTF-8.
"""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Lines:
    """The lines of a stream of bytes.

    Args:
        stream: The input.
        required: The columns that a table must have.

    `bytes_read` grows while lines are read.
    """

    def __init__(self, stream: BinaryIO, required: frozenset[str]) -> None:
        self.bytes_read = 0
        self._stream = stream
        self._required = required

    def parsed(self, file_format: Format) -> Iterator[Numbered]:
        """Yield the parsed lines. Raises `UsageError` if no line of the input can be valid."""
        if file_format == "jsonl":
            return self._json_lines()
        if file_format == "txt":
            return self._text_lines()
        return self._table("," if file_format == "csv" else "\t")

    def _lines(self) -> Iterator[bytes | None]:
        """Yield the lines; None for a line that is too long."""
        line = self._stream.readline(LONGEST_LINE)
        self.bytes_read = len(line)
        if line.startswith(_UTF_16_MARKS):
            raise UsageError(
                "the input is UTF-16 and not UTF-8", hint="convert it: `iconv -f UTF-16 -t UTF-8`"
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
        """Yield the number of each line and its text, or None and what is wrong with it."""
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
        # Bytes that are not UTF-8 become lone surrogates, which `_problem_in` finds in their cell.
        # A line that is too long is replaced by a mark, which it finds too.
        lines = (
            f"{_TOO_LONG_MARK}\n" if line is None else line.decode("utf-8", "surrogateescape")
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
                    problem += f"; it began in line {began}: is a closing quotation mark missing?"
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
        """Raise `UsageError` if the columns cannot give a prompt."""
        problem = next((_problem_in(name) for name in header if _problem_in(name)), None)
        if problem is not None:
            raise self._bad_header(problem)
        for name, count in Counter(header).items():
            if count > 1:
                raise self._bad_header(f"{count} columns have the name {quoted(name)}")
        for name in sorted(self._required.difference(header)):
            raise self._bad_header(f"there is no column {quoted(name)}; {names_in(header)}")

    def _bad_header(self, problem: str) -> UsageError:
        hint = "the prompt is in the column prompt, or --template makes it from other columns"
        if "prompt" not in self._required:
            hint = "each name in braces in the template must be the name of a column"
        return UsageError(f"the header line: {problem}", hint=hint)


def _json_object(line: str) -> Any:
    try:
        parsed = json.loads(
            line, object_pairs_hook=_without_duplicate_keys, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        reason = error.msg.removesuffix(" at").replace("\n", " ")
        return f"not JSON: {reason[0].lower()}{reason[1:]}, at column {error.colno}"
    except RecursionError:
        return "nested too deeply"
    except ValueError as error:
        return str(error)
    return parsed if isinstance(parsed, dict) else "not a JSON object"


def _without_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {quoted(name)} appears more than once")
    return content


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"not JSON: {name} is not a JSON number")


def _cells(header: list[str], row: list[str]) -> Any:
    """Return the cells of a row by column; generation fields are parsed as JSON values."""
    if len(row) != len(header):
        if any(_problem_in(cell) == _TOO_LONG for cell in row):
            return _TOO_LONG
        return f"the row has {len(row)} cells, and the header {len(header)} columns"
    cells: dict[str, Any] = {}
    for name, cell in zip(header, row, strict=True):
        problem = _problem_in(cell)
        if problem is not None:
            return f"{name}: {problem}"
        if name not in FIELDS:
            cells[name] = cell
        elif cell:
            try:
                value = json.loads(cell, parse_constant=_refuse_constant)
            except (ValueError, RecursionError):
                notation = " in JSON" if FIELDS[name] is list else ""
                return f"{name}: {quoted(cell)} is not {TYPE_NAMES[FIELDS[name]]}{notation}"
            # Programs often write a column of whole numbers with gaps as 5.0.
            is_whole = FIELDS[name] is int and isinstance(value, float) and value.is_integer()
            cells[name] = int(value) if is_whole else value
    if cells.get("id") == "":
        del cells["id"]
    return cells


_TOO_LONG = f"longer than {LONGEST_LINE // 2**20} MiB"
_TOO_LONG_MARK = "\udbff"


def _problem_in(cell: str) -> str | None:
    """Return what is wrong with the text of a cell, or None."""
    if "\0" in cell:
        return "a NUL byte"
    if not cell.isascii() and SURROGATE.search(cell):
        return _TOO_LONG if _TOO_LONG_MARK in cell else "not UTF-8"
    return None


def quoted(value: Any) -> str:
    """Return a value as a message shows it."""
    text = repr(value)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def names_in(known: Iterable[str]) -> str:
    """Return the names in a record, for a message about a missing one."""
    text = ", ".join(sorted(known))
    if len(text) > LONGEST_QUOTE:
        text = f"{text[:LONGEST_QUOTE]}…"
    return f"found: {text}" if text else "found nothing"
