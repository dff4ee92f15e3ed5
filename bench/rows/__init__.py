"""The rows of the benchmark, one file each.

A row is a function of `Setting` and `Plan`. It runs its contenders and returns their measurements
and the targets that the ratios between them must meet.
"""

from collections.abc import Callable

from bench.results import Outcome, Plan
from bench.rows.batch import batch
from bench.rows.completion import completion
from bench.rows.growth import growth
from bench.rows.pace import pace
from bench.rows.rate import rate
from bench.rows.startup import startup
from bench.rows.stream import stream
from bench.setting import Setting

ROWS: dict[str, Callable[[Setting, Plan], Outcome]] = {
    "startup": startup,
    "completion": completion,
    "stream": stream,
    "batch": batch,
    "growth": growth,
    "rate": rate,
    "pace": pace,
}
