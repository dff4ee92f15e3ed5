"""Numbers the requests, and counts how many were sent and refused from some request on."""

from dataclasses import dataclass
from typing import NamedTuple


class Ticket(NamedTuple):
    """A request that was sent: its number, from 1, and when."""

    number: int
    at: float


@dataclass(slots=True)
class Count:
    """What was sent after some request, and refused of that."""

    after: int
    at: float
    sent: int = 0
    refused: int = 0

    @property
    def part(self) -> float:
        """The part that was refused, 0 to 1."""
        return self.refused / max(1, self.sent)
