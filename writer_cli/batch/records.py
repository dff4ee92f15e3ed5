"""Read the records of a batch one after another; the input is never in memory as a whole.

An invalid record becomes a `Record` with a `problem`: it gets an error in the output, and the other
records get their answers.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, BinaryIO, get_args

from writer_cli.batch.hash_set import HashSet
from writer_cli.batch.lines import FIELDS, SURROGATE, TYPE_NAMES, Format, Lines, names_in, quoted
from writer_cli.errors import UsageError

__all__ = ["Format", "Reader", "Record", "Template", "detected_format"]

SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "txt",
}
"""The format of a file by its suffix."""


@dataclass(frozen=True, slots=True)
class Record:
    """A prompt to complete.

    Attributes:
        index: The position of the record in the input, from 0.
        prompt: The prompt; None if there is a problem.
        id: The id of the record, if it has one.
        fields: Its generation fields; they override the defaults of the batch.
        line: The line of the input where the record ends, from 1; 0 if there is no file.
        problem: Why the record cannot be sent, or None.
    """

    index: int
    prompt: str | None
    id: str | int | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    line: int = 0
    problem: str | None = None

    def digest(self, defaults: str) -> int:
        """Return a 64-bit hash of the request.

        `defaults` are the settings that all records of a batch share.
        """
        text = json.dumps([defaults, self.prompt, self.fields, self.problem], sort_keys=True)
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


class Template:
    """A prompt with variables in braces: `Write a tagline for {product}`; `{{` is a literal brace.

    A variable is the name of a key of the record, without attributes or indexes. Raises
    `UsageError` for a single brace, and for a template without variables.
    """

    _PART = re.compile(r"\{\{|\}\}|\{\s*(?P<name>[^{}]*[^{}\s])\s*\}|(?P<stray>[{}])")

    def __init__(self, text: str) -> None:
        self.text = text
        names = []
        for match in self._PART.finditer(text):
            if match["stray"]:
                raise UsageError(
                    f"--template: a single {match['stray']} at character {match.start() + 1}",
                    hint="write a variable as {name}, and a brace as {{ or }}",
                )
            if match["name"]:
                names.append(match["name"])
        self.names = frozenset(names)
        if not names:
            raise UsageError(
                "--template: it has no variable, so all prompts would be the same",
                hint="write a variable as {name}; {{name}} is the literal text {name}",
            )
        if SURROGATE.search(text):
            raise UsageError("--template: not UTF-8", hint="convert it first, with iconv")

    def render(self, variables: dict[str, Any]) -> str:
        """Return the prompt: strings are inserted as they are, other values as JSON.

        Raises `ValueError` if a variable has no value, or if all are empty.
        """
        for name in sorted(self.names):
            if variables.get(name) is None:
                raise ValueError(
                    f"the template needs {quoted(name)}, which has no value; {names_in(variables)}"
                )
        if all(variables[name] == "" for name in self.names):
            raise ValueError(
                f"all variables of the template are empty: {', '.join(sorted(self.names))}"
            )

        def substitute(match: re.Match[str]) -> str:
            if match["name"] is None:
                return match[0][0]
            value = variables[match["name"]]
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

        return self._PART.sub(substitute, self.text)


class Reader:
    """The records of an input, in order.

    Args:
        stream: The input; it is read line by line.
        file_format: The format of the input.
        template: Makes the prompt from the keys of a record; without it, the key is `prompt`.

    `bytes_read` grows while records are read.
    """

    def __init__(
        self, stream: BinaryIO, file_format: Format, template: Template | None = None
    ) -> None:
        self._format = file_format
        self._template = template
        self._lines = Lines(stream, frozenset({"prompt"}) if template is None else template.names)
        self._ids = HashSet()

    def __iter__(self) -> Iterator[Record]:
        for index, (line, content) in enumerate(self._lines.parsed(self._format)):
            yield self._record(index, line, content)

    @property
    def bytes_read(self) -> int:
        """How many bytes of the input have been read."""
        return self._lines.bytes_read

    def _record(self, index: int, line: int, content: Any) -> Record:
        """Make a record from the object of a line, or from a string that says what is wrong."""
        if isinstance(content, str):
            return Record(index, None, line=line, problem=f"line {line}: {content}")
        own_id = content.get("id")
        try:
            self._check_id(own_id)
            fields = self._own_fields(content)
            prompt = self._prompt(content)
        except RecursionError:
            problem = "nested too deeply"
        except ValueError as error:
            problem = str(error)
        else:
            return Record(index, prompt, id=own_id, fields=fields, line=line)
        shown_id = own_id if _is_id(own_id) else None
        return Record(index, None, id=shown_id, line=line, problem=f"line {line}: {problem}")

    def _check_id(self, own_id: Any) -> None:
        if own_id is None:
            return
        if not _is_id(own_id):
            raise ValueError("id: neither a string nor a whole number")
        if not self._ids.add(json.dumps(own_id)):
            raise ValueError(f"id: {quoted(own_id)} was used before")

    def _own_fields(self, content: dict[str, Any]) -> dict[str, Any]:
        """Return the generation fields of a record. Raises `ValueError` for a misspelt one."""
        for name in content:
            meant = _meant_field(name)
            if meant is not None and not (self._template and name in self._template.names):
                raise ValueError(f"{quoted(name)}: did you mean {meant}?")
        fields = {name: content[name] for name in FIELDS if content.get(name) is not None}
        for name, value in fields.items():
            if not _is_of_kind(value, FIELDS[name]):
                raise ValueError(f"{name}: {quoted(value)} is not {TYPE_NAMES[FIELDS[name]]}")
        return fields

    def _prompt(self, content: dict[str, Any]) -> str:
        if self._template is not None:
            prompt = self._template.render(content)
        else:
            given = content.get("prompt")
            if given is None:
                raise ValueError(f"no prompt; {names_in(content)}")
            if not isinstance(given, str):
                raise ValueError("prompt: not a string")
            prompt = given
        if not prompt:
            raise ValueError("the prompt is empty")
        if "\0" in prompt:
            raise ValueError("the prompt has a NUL byte")
        if SURROGATE.search(prompt):
            raise ValueError("the prompt has a lone surrogate, which UTF-8 cannot encode")
        return prompt


def detected_format(name: str, given: Format | None) -> Format:
    """Return the format that is given, else the one of the suffix. Raises `UsageError`."""
    if given is not None:
        return given
    for suffix, file_format in SUFFIXES.items():
        if name.lower().endswith(suffix):
            return file_format
    raise UsageError(
        f"--format: the format of {'standard input' if name == '-' else name} is unknown",
        hint=f"--format {'|'.join(get_args(Format))}",
    )


@lru_cache(maxsize=1024)
def _meant_field(name: str) -> str | None:
    """Return the generation field that a name misspells, or None."""
    if name in FIELDS:
        return None
    plain = name.replace("_", "").replace("-", "").replace(" ", "").lower()
    for field_name in FIELDS:
        if plain == field_name.replace("_", ""):
            return field_name
    # A column may well be called `shop`: only longer names are compared by similarity.
    long_names = [field_name for field_name in FIELDS if len(field_name) > len("stop")]
    near = difflib.get_close_matches(name.lower(), long_names, n=1, cutoff=0.85)
    return near[0] if near else None


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return not SURROGATE.search(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _is_of_kind(value: Any, kind: type) -> bool:
    if kind is list:
        return isinstance(value, list) and all(
            isinstance(text, str) and not SURROGATE.search(text) for text in value
        )
    return isinstance(value, int | kind) and not isinstance(value, bool)
