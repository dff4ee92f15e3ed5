"""The rate that a batch learns from refusals, against simulated servers of every kind."""

from bench.results import Measurement, Outcome, Plan, Target
from bench.setting import Setting
from tests.batch.scenarios import OUTAGE, ROWS, SHARDS, measured, part_after_outages

SEEDS = range(1, 6)
"""Each row is simulated with each of them, and the worst result counts."""

WORK = "pace, simulated: requests a minute after the first minute, the least of five runs"


def pace(_: Setting, plan: Plan) -> Outcome:
    """Simulate each kind of server with several seeds: see `tests/batch/scenarios.py`."""
    lines, targets = [], []
    for row in ROWS:
        plan.progress(row.name)
        runs = [measured(row, seed) for seed in SEEDS]
        least = min(run.goodput for run in runs)
        refused = max(run.refused for run in runs)
        seconds = range(60, int(row.minutes * 60))
        allowed = 60 * sum(row.allowed(second) for second in seconds) / len(seconds)
        rates = sorted(run.goodput * allowed for run in runs)
        notes = {"% of what is allowed": 100 * least, "in a thousand refused": 1000 * refused}
        unit = "tokens/min" if row.has_tokens else "requests/min"
        quartiles = rates[1], rates[-2]
        lines.append(Measurement(WORK, row.name, rates[0], quartiles, unit, len(runs), notes))
        what = f"{row.name}: part of what is allowed"
        targets.append(Target(what, least, row.least, at_most=False))
        if row.most_refused is not None:
            targets.append(Target(f"{row.name}: part refused", refused, row.most_refused))
        if row is OUTAGE:
            what = "five seconds after an outage: part of 32 requests/s"
            part = min(part_after_outages(run.logs[0]) for run in runs)
            targets.append(Target(what, part, 0.9, at_most=False))
        if row is SHARDS:
            shares = [share for run in runs for share in run.shares]
            targets.append(Target("least shard / limit", min(shares), 0.18, at_most=False))
            targets.append(Target("largest shard / limit", max(shares), 0.32))
    return Outcome(lines, targets)
