"""Reading prompts: one record after another, never a file at once.

A record that cannot be right is a record all the same, with a `problem`: it gets an error in the
output, and the others get their answers.
"""

import csv
import hashlib
import json
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, get_args

from writer_cli.errors import UsageError

Format = Literal["jsonl", "csv", "tsv", "txt"]

ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "txt",
}
"""The format of a file by the end of its name."""

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
"""What a record may say about its own generation, and how a cell of a table is read."""

_MISSPELT = {name.replace("_", ""): name for name in FIELDS}


@dataclass(frozen=True, slots=True)
class Record:
    """A prompt to complete.

    Attributes:
        index: The record's place in the input, from 0.
        prompt: The text to continue; None where there is a problem.
        id: The record's own name, if it has one.
        fields: Generation fields of its own, which go before those of the whole batch.
        line: The line of the input where the record ends, from 1; 0 if it came from no file.
        problem: Why the record cannot be sent, if it cannot.
    """

    index: int
    prompt: str | None
    id: str | int | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    line: int = 0
    problem: str | None = None

    def digest(self, defaults: str) -> int:
        """Return 64 bits that are the same for the same request and, all but surely, no other.

        `defaults` is what all records of a batch have in common.
        """
        text = json.dumps([defaults, self.prompt, self.fields, self.problem], sort_keys=True)
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


class Template:
    """A prompt with variables in braces: `Write a tagline for {product}`. `{{` is a brace.

    Raises `UsageError` for a brace that is neither.
    """

    _PART = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]+)\}|(?P<stray>[{}])")

    def __init__(self, text: str) -> None:
        self.text = text
        for match in self._PART.finditer(text):
            if match["stray"]:
                raise UsageError(
                    f"--template: a stray {match['stray']} at character {match.start() + 1}",
                    hint="a variable is {name}, a brace is doubled: {{ or }}",
                )

    def render(self, variables: dict[str, Any]) -> str:
        """Put the variables in. Raises `KeyError` naming the one that is missing."""

        def part(match: re.Match[str]) -> str:
            if match["name"] is None:
                return match[0][0]
            value = variables.get(match["name"].strip())
            if value is None:
                raise KeyError(match["name"].strip())
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

        return self._PART.sub(part, self.text)


class Reader:
    """The records of a stream of bytes, in order.

    Args:
        stream: The input; read line by line.
        form: How it is written.
        template: What makes a prompt of a record's variables; without it a record has `prompt`.

    `bytes_read` grows while records are read.
    """

    def __init__(self, stream: BinaryIO, form: Format, template: Template | None = None) -> None:
        self.bytes_read = 0
        self._stream = stream
        self._form = form
        self._template = template
        self._ids = _Seen()

    def __iter__(self) -> Iterator[Record]:
        read: dict[Format, Callable[[], Iterator[tuple[int, Any]]]] = {
            "jsonl": self._json_lines,
            "csv": lambda: self._table(","),
            "tsv": lambda: self._table("\t"),
            "txt": self._text_lines,
        }
        for index, (line, content) in enumerate(read[self._form]()):
            yield self._record(index, line, content)

    def _record(self, index: int, line: int, content: Any) -> Record:
        """Make a record of what a line holds: its variables, or a text that says what is wrong."""
        if isinstance(content, str):
            return Record(index, None, line=line, problem=f"line {line}: {content}")
        own_id = content.get("id")
        try:
            self._check_id(own_id)
            fields = _own_fields(content)
            prompt = self._prompt(content)
        except ValueError as problem:
            shown_id = own_id if isinstance(own_id, str | int) else None
            return Record(index, None, id=shown_id, line=line, problem=f"line {line}: {problem}")
        return Record(index, prompt, id=own_id, fields=fields, line=line)

    def _check_id(self, own_id: Any) -> None:
        if own_id is None:
            return
        if not isinstance(own_id, str | int) or isinstance(own_id, bool):
            raise ValueError("id: neither a text nor a number")  # noqa: TRY004 - as of any bad record
        if self._ids.has(json.dumps(own_id)):
            raise ValueError(f"id: {own_id!r} was used before")

    def _prompt(self, content: dict[str, Any]) -> str:
        if self._template is not None:
            try:
                prompt = self._template.render(content)
            except KeyError as error:
                raise ValueError(f"the template's variable {error.args[0]} has no value") from None
        elif isinstance(content.get("prompt", ""), str):
            prompt = content.get("prompt", "")
        else:
            raise ValueError("prompt: not a text")
        if "prompt" not in content and not prompt:
            raise ValueError("there is no prompt")
        if not prompt:
            raise ValueError("the prompt is empty")
        if "\0" in prompt:
            raise ValueError("the prompt has a NUL byte")
        return prompt

    def _lines(self) -> Iterator[bytes]:
        while line := self._stream.readline(LONGEST_LINE):
            self.bytes_read += len(line)
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                line = b"\xff"  # not UTF-8, so the record gets a problem, and the rest is passed
                while (rest := self._stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                    self.bytes_read += len(rest)
            yield line

    def _decoded(self) -> Iterator[tuple[int, str | None, str]]:
        """Yield the number of each line, its text or None, and else what is wrong with it."""
        for number, raw in enumerate(self._lines(), 1):
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")  # noqa: PLW2901 - a byte order mark
            raw = raw.removesuffix(b"\n").removesuffix(b"\r")  # noqa: PLW2901
            if b"\0" in raw:
                yield number, None, f"a NUL byte at column {raw.index(0) + 1}"
                continue
            try:
                yield number, raw.decode(), ""
            except UnicodeDecodeError as error:
                yield number, None, f"not UTF-8 at column {error.start + 1}"

    def _json_lines(self) -> Iterator[tuple[int, Any]]:
        for number, line, problem in self._decoded():
            if line is None:
                yield number, problem
            elif line.strip():
                yield number, _json_object(line)

    def _text_lines(self) -> Iterator[tuple[int, Any]]:
        for number, line, problem in self._decoded():
            yield number, problem if line is None else {"prompt": line}

    def _table(self, delimiter: str) -> Iterator[tuple[int, Any]]:
        csv.field_size_limit(LONGEST_LINE)
        # Bytes that are not UTF-8 come through as lone surrogates, and are found in their cell.
        lines = (line.decode("utf-8", "surrogateescape") for line in self._lines())
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        header: list[str] | None = None
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield rows.line_num, f"not a row of a table: {error}"
                continue
            if not row:
                continue
            if header is None:
                header = [name.removeprefix("\ufeff").strip() for name in row]
                continue
            yield rows.line_num, _cells(header, row)


def form_of(name: str, given: str | None) -> Format:
    """Return the format of a file, as it is given or by the end of its name.

    Raises `UsageError`.
    """
    if given is not None:
        for form in get_args(Format):
            if given == form:
                return form  # type: ignore[no-any-return]
    for ending, form in ENDINGS.items():
        if given is None and name.lower().endswith(ending):
            return form
    raise UsageError(
        f"--format: how is {'standard input' if name == '-' else name} written?",
        hint=f"--format {'|'.join(get_args(Format))}",
    )


def only_shard(records: Iterable[Record], shard: int, of: int) -> Iterator[Record]:
    """Yield the records of one shard: record i belongs to shard i mod N."""
    return (record for record in records if record.index % of == shard)


def _own_fields(content: dict[str, Any]) -> dict[str, Any]:
    """Return the generation fields of a record. Raises `ValueError` for one that is misspelt."""
    for name in content:
        meant = _MISSPELT.get(name.replace("_", "").replace("-", "").lower(), name)
        if meant != name:
            raise ValueError(f"{name}: did you mean {meant}?")
    return {name: content[name] for name in FIELDS if content.get(name) is not None}


def _json_object(line: str) -> Any:
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return parsed if isinstance(parsed, dict) else "not a JSON object"


def _cells(header: list[str], row: list[str]) -> Any:
    """Return the cells of a row by their column, the generation fields among them as values."""
    if len(row) != len(header):
        return f"{len(row)} cells, and the first line has {len(header)}"
    cells: dict[str, Any] = {}
    for name, cell in zip(header, row, strict=True):
        if "\0" in cell:
            return f"{name}: a NUL byte"
        if not cell.isascii() and any("\ud800" <= char <= "\udfff" for char in cell):
            return f"{name}: not UTF-8"
        if name not in FIELDS:
            cells[name] = cell
        elif cell:
            try:
                cells[name] = json.loads(cell) if FIELDS[name] is list else FIELDS[name](cell)
            except ValueError:
                return f"{name}: {cell!r} is not {_KIND_OF_CELL[FIELDS[name]]}"
    if cells.get("id") == "":
        del cells["id"]
    return cells


_KIND_OF_CELL = {int: "a whole number", float: "a number", list: "a JSON array of texts"}


class _Seen:
    """Which texts were seen before, at some 20 bytes each: a set of a million takes 100 MB."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._used = 0

    def has(self, text: str) -> bool:
        """Return whether it was seen, and see it."""
        number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) or 1
        if not self._put(number):
            return True
        self._used += 1
        if self._used * 4 > len(self._slots) * 3:
            old, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
            for known in old:
                if known:
                    self._put(known)
        return False

    def _put(self, number: int) -> bool:
        mask = len(self._slots) - 1
        slot = number & mask
        while self._slots[slot]:
            if self._slots[slot] == number:
                return False
            slot = (slot + 1) & mask
        self._slots[slot] = number
        return True
