"""The result of a record, as data and as a line of JSON."""

import json
from dataclasses import dataclass
from typing import Any

from writer_cli.batch.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer to a record, or its error.

    Attributes:
        record: The record.
        choices: The completions, each with `index`, `text`, `logprobs` and `finish_reason`; None
            if the record failed.
        usage: `prompt_tokens`, `completion_tokens` and `total_tokens`, if the API sends them.
        error: The error as JSON, as in `complete --json`; None if the record was answered.
        model_id: The id of the model.
        attempts: How many requests were sent.
        elapsed_s: Seconds from the first request to the end of the answer, retries included.
    """

    record: Record
    choices: list[dict[str, Any]] | None = None
    usage: dict[str, int | None] | None = None
    error: dict[str, Any] | None = None
    model_id: str
    attempts: int
    elapsed_s: float

    @property
    def index(self) -> int:
        """The position of the record in the input, from 0."""
        return self.record.index

    @property
    def texts(self) -> list[str]:
        """The texts of the completions; empty if the record failed."""
        return [choice["text"] for choice in self.choices or []]

    def as_line(self, digest: int, *, include_prompt: bool) -> bytes:
        """Return the line for the output file, with its line feed."""
        record = self.record
        line: dict[str, Any] = {"index": record.index}
        if record.id is not None:
            line["id"] = record.id
        if include_prompt:
            line["prompt"] = record.prompt
        if self.error is None:
            line |= {"choices": self.choices, "usage": self.usage}
        else:
            line["error"] = self.error
        line |= {
            "model_id": self.model_id,
            "attempts": self.attempts,
            "elapsed_s": round(self.elapsed_s, 3),
            "digest": f"{digest:016x}",
        }
        return json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
