"""What became of a record, as data and as a line of JSON."""

import json
from dataclasses import dataclass
from typing import Any

from writer_cli.batch.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer to a record, or why there is none.

    Attributes:
        record: What was asked.
        choices: The completions: `index`, `text`, `logprobs` and `finish_reason` of each; None if
            it failed.
        usage: `prompt_tokens`, `completion_tokens` and `total_tokens`, where the API counts them.
        error: The JSON error, as `complete` has it; None if it was answered.
        model_id: The model that was asked.
        attempts: How many requests it took.
        elapsed_s: Seconds from the first of them to the end of the answer, retries included.
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
        """The record's place in the input, from 0."""
        return self.record.index

    @property
    def texts(self) -> list[str]:
        """The completions' texts; none if it failed."""
        return [choice["text"] for choice in self.choices or []]

    def as_line(self, digest: int, *, include_prompt: bool) -> bytes:
        """Return the line of the output, with its line feed."""
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
