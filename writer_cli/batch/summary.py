"""The summary of a batch; its size does not grow with the number of records."""

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from writer_cli.batch.results import Result

STEP = 1.05
"""The width of a histogram bin: latencies within 5 % of each other share a bin."""


TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")


@dataclass
class Summary:
    """Counts, latencies, tokens, and errors by kind, of the records of this run."""

    answered: int = 0
    failed: int = 0
    cached: int = 0
    """How many of those that are answered were in the cache; nothing was sent for them."""
    attempts: int = 0
    longest: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    first_messages: dict[str, str] = field(default_factory=dict)
    tokens: Counter[str] = field(default_factory=Counter)
    """The sums of the token counts that the answers contain."""
    _latencies: Counter[int] = field(default_factory=Counter)
    _bounds: Counter[str] = field(default_factory=Counter)
    _last_bounds: dict[str, str] = field(default_factory=dict)

    def see_bound(self, bound: str) -> None:
        """Take note of what bounds the speed at the moment."""
        kind = re.sub(r"\d+", "", bound)
        self._bounds[kind] += 1
        self._last_bounds[kind] = bound

    @property
    def bound(self) -> str | None:
        """What bounded the speed for most of the time; None if only the number of threads did."""
        most = self._bounds.most_common(1)
        bound = self._last_bounds[most[0][0]] if most else ""
        # What was waiting to be tried again has been tried.
        return None if not bound or bound.endswith(("in flight", "tried again")) else bound

    def add(self, result: Result) -> None:
        """Count a result."""
        self.attempts += result.attempts
        if result.error is not None:
            self.failed += 1
            kind = result.error["kind"]
            self.errors[kind] += 1
            self.first_messages.setdefault(kind, result.error["message"])
            return
        self.answered += 1
        if result.attempts == 0:
            self.cached += 1
            return
        self.tokens.update({name: n for name, n in (result.usage or {}).items() if n is not None})
        self.longest = max(self.longest, result.elapsed_s)
        self._latencies[round(math.log(max(result.elapsed_s, 1e-4), STEP))] += 1

    def percentile(self, percent: float) -> float:
        """Return a percentile, 0 to 100, of the latencies in seconds."""
        wanted = (self.answered - self.cached) * percent / 100
        for step, count in sorted(self._latencies.items()):
            wanted -= count
            if wanted <= 0:
                return float(min(STEP**step, self.longest))
        return self.longest

    def histogram(self, bars: int = 8) -> list[tuple[float, int]]:
        """Return bins of equal width on a log scale: the upper limit in seconds, and the count."""
        if not self._latencies:
            return []
        low, high = min(self._latencies), max(self._latencies)
        width = math.ceil((high - low + 1) / bars)
        counts: Counter[int] = Counter()
        for step, count in self._latencies.items():
            counts[(step - low) // width] += count
        return [
            (STEP ** (low + (bar + 1) * width - 1), counts[bar]) for bar in range(max(counts) + 1)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as JSON: latencies in seconds, null if nothing was answered."""
        latencies = {
            "p50_s": round(self.percentile(50), 4),
            "p95_s": round(self.percentile(95), 4),
            "max_s": round(self.longest, 4),
        }
        return {
            "answered": self.answered,
            "failed": self.failed,
            "cached": self.cached,
            "attempts": self.attempts,
            "usage": {name: self.tokens.get(name) for name in TOKENS} if self.tokens else None,
            "bound": self.bound,
            "latency": latencies if self.answered > self.cached else dict.fromkeys(latencies),
            "errors": [
                {"kind": kind, "count": count, "first": self.first_messages[kind]}
                for kind, count in self.errors.most_common()
            ],
        }
