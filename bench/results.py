"""The results of a row: medians, and targets for the ratios between them."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.measure import Run, median, spread

OURS = "writer"
"""The name of our contender."""


@dataclass(frozen=True)
class Plan:
    """How much to measure: runs of each command, records of the largest batch.

    `progress` is called with one line of text before each step.
    """

    runs: int
    growth: int
    progress: Callable[[str], None]


@dataclass(frozen=True)
class Measurement:
    """One line of the table: the median and the quartiles of several runs."""

    work: str
    contender: str
    median: float
    quartiles: tuple[float, float]
    unit: str
    runs: int
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """The limit that a ratio of two medians must keep; medians of the same `make bench`."""

    what: str
    value: float
    limit: float
    at_most: bool = True
    unit: str = "x"

    @property
    def is_met(self) -> bool:
        """Whether the value keeps the limit."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit


@dataclass(frozen=True)
class Outcome:
    """All results of one row."""

    measurements: list[Measurement]
    targets: list[Target] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return what `build/bench.json` has for this row."""
        return {
            "measurements": [asdict(measurement) for measurement in self.measurements],
            "targets": [asdict(target) | {"met": target.is_met} for target in self.targets],
        }


def measured(
    work: str, runs: dict[str, list[Run]], value: Callable[[Run], float], unit: str
) -> list[Measurement]:
    """Return one line for each contender, with the median of `value` over its runs."""
    return [
        Measurement(
            work,
            name,
            median(map(value, done)),
            spread(map(value, done)),
            unit,
            len(done),
            {"cpu_ms": median(1000 * one.cpu for one in done)},
        )
        for name, done in runs.items()
    ]


def milliseconds(one: Run) -> float:
    """Return the wall time of a run in milliseconds."""
    return 1000 * one.wall


def ratio(measurements: list[Measurement], ours: str, theirs: str) -> float:
    """Return the median of one contender divided by the median of another."""
    found = {measurement.contender: measurement.median for measurement in measurements}
    return found[ours] / found[theirs]
