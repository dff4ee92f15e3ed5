"""The plan of a batch: the model, the defaults and the limits."""

from dataclasses import dataclass, field
from typing import Any

from writer_cli.errors import UsageError

DEFAULT_CONCURRENCY = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What all requests of a batch share, and the limits that the batch keeps.

    Attributes:
        model_id: The id of the model.
        customization_id: The id of a customization of the model, or None.
        defaults: Fields of `CompletionRequest` for all records; the fields of a record override
            them.
        concurrency: The maximum number of threads, and so of requests in flight; 1 or more.
        rpm: The maximum of requests per minute; above 0.
        tpm: The maximum of tokens per minute, estimated from the texts; above 0.
        max_requests: The budget: the batch stops after this many requests, retries included; 0 or
            more.

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
