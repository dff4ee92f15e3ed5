"""Reading prompts: one record after another, never a file at once.

A record that cannot be right is a record all the same, with a `problem`: it gets an error in the
output, and the others get their answers.
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

ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "txt",
}
"""The format of a file by the end of its name."""


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

    A variable is the name of a record's key and nothing else: there is no way into its value.
    Raises `UsageError` for a brace that is neither, and where there is no variable at all.
    """

    _PART = re.compile(r"\{\{|\}\}|\{\s*(?P<name>[^{}]*[^{}\s])\s*\}|(?P<stray>[{}])")

    def __init__(self, text: str) -> None:
        self.text = text
        names = []
        for match in self._PART.finditer(text):
            if match["stray"]:
                raise UsageError(
                    f"--template: a stray {match['stray']} at character {match.start() + 1}",
                    hint="a variable is {name}, a brace is doubled: {{ or }}",
                )
            if match["name"]:
                names.append(match["name"])
        self.names = frozenset(names)
        if not names:
            raise UsageError(
                "--template: there is no variable in it, so all prompts would be the same",
                hint="a variable is {name}; {{name}} is that text and no variable",
            )
        if SURROGATE.search(text):
            raise UsageError("--template: not UTF-8", hint="convert it first, with iconv")

    def render(self, variables: dict[str, Any]) -> str:
        """Put the variables in: a text as it is, anything else as JSON.

        Raises `ValueError` where one has no value, or where all of them are empty.
        """
        for name in sorted(self.names):
            if variables.get(name) is None:
                raise ValueError(
                    f"{quoted(name)} is in the template and has no value; {names_in(variables)}"
                )
        if all(variables[name] == "" for name in self.names):
            raise ValueError(
                f"what the template asks for is empty: {', '.join(sorted(self.names))}"
            )

        def part(match: re.Match[str]) -> str:
            if match["name"] is None:
                return match[0][0]
            value = variables[match["name"]]
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
        self._form = form
        self._template = template
        self._lines = Lines(stream, frozenset({"prompt"}) if template is None else template.names)
        self._ids = HashSet()

    def __iter__(self) -> Iterator[Record]:
        for index, (line, content) in enumerate(self._lines.of(self._form)):
            yield self._record(index, line, content)

    @property
    def bytes_read(self) -> int:
        """How far the input has been read."""
        return self._lines.bytes_read

    def _record(self, index: int, line: int, content: Any) -> Record:
        """Make a record of what a line holds: its variables, or a text that says what is wrong."""
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
            raise ValueError("id: neither a text nor a whole number")
        if not self._ids.add(json.dumps(own_id)):
            raise ValueError(f"id: {quoted(own_id)} was used before")

    def _own_fields(self, content: dict[str, Any]) -> dict[str, Any]:
        """Return the generation fields of a record, the misspelt ones refused."""
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
                raise ValueError(f"there is no prompt; {names_in(content)}")
            if not isinstance(given, str):
                raise ValueError("prompt: not a text")
            prompt = given
        if not prompt:
            raise ValueError("the prompt is empty")
        if "\0" in prompt:
            raise ValueError("the prompt has a NUL byte")
        if SURROGATE.search(prompt):
            raise ValueError("the prompt has half of a surrogate pair, which no text can have")
        return prompt


def detected_format(name: str, given: Format | None) -> Format:
    """Return the format of a file, as it is given or by the end of its name.

    Raises `UsageError`.
    """
    if given is not None:
        return given
    for ending, form in ENDINGS.items():
        if name.lower().endswith(ending):
            return form
    raise UsageError(
        f"--format: how is {'standard input' if name == '-' else name} written?",
        hint=f"--format {'|'.join(get_args(Format))}",
    )


@lru_cache(maxsize=1024)
def _meant_field(name: str) -> str | None:
    """Return the generation field that a name is a misspelling of, if it is one."""
    if name in FIELDS:
        return None
    plain = name.replace("_", "").replace("-", "").replace(" ", "").lower()
    for field_name in FIELDS:
        if plain == field_name.replace("_", ""):
            return field_name
    # A column may well be called `shop`: only what is longer is compared by likeness.
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
