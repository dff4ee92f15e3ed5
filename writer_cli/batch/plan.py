"""What a batch asks for, and how fast it may ask."""

from dataclasses import dataclass, field
from typing import Any

from writer_cli.errors import UsageError

DEFAULT_CONCURRENCY = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What all requests of a batch have in common, and the limits that it keeps.

    Attributes:
        model_id: The model to ask.
        customization_id: A customization of it, if any.
        defaults: Fields of `CompletionRequest` for all records; a record's own fields override
            them.
        concurrency: The most threads, and so the most requests at the same time; 1 or more.
        rpm: The most requests a minute; over 0.
        tpm: The most tokens a minute, estimated from the texts; over 0.
        max_requests: The most requests in all, retries included; then the batch stops. 0 or more.

    Raises:
        UsageError: A number is out of range.
    """

    model_id: str
    customization_id: str | None = None
    defaults: dict[str, Any] = field(default_factory=dict)
    concurrency: int = DEFAULT_CONCURRENCY
    rpm: float | None = None
    tpm: float | None = None
    max_requests: int | None = None

    def __post_init__(self) -> None:
        for name, value, is_right in (
            ("concurrency", self.concurrency, self.concurrency >= 1),
            ("rpm", self.rpm, self.rpm is None or self.rpm > 0),
            ("tpm", self.tpm, self.tpm is None or self.tpm > 0),
            (
                "max_requests",
                self.max_requests,
                self.max_requests is None or self.max_requests >= 0,
            ),
        ):
            if not is_right:
                raise UsageError(f"{name}: {value} is out of range", field=name)
