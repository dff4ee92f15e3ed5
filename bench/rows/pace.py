"""The rate that a batch learns from refusals, against simulated servers of every kind."""

from bench.results import Measurement, Outcome, Plan, Target
from bench.setting import Setting
from tests.batch.scenarios import OUTAGE, ROWS, SHARDS, measured, part_after_outages

MINUTES = 31
"""How long each simulation is; the first minute does not count."""

WORK = "pace, simulated: requests a minute, after the first of 31 minutes"


def pace(_: Setting, plan: Plan) -> Outcome:
    """Simulate half an hour against each kind of server: see `tests/batch/scenarios.py`."""
    lines, targets = [], []
    for row in ROWS:
        plan.progress(row.name)
        figures = measured(row, MINUTES)
        seconds = range(60, MINUTES * 60)
        allowed = 60 * sum(row.allowed(second) for second in seconds) / len(seconds)
        rate = figures.goodput * allowed
        notes = {
            "% of what is allowed": 100 * figures.goodput,
            "in a thousand refused": 1000 * figures.refused,
        }
        if row is SHARDS:
            notes |= {f"% in shard {n}": 100 * part for n, part in enumerate(figures.shares)}
        unit = "tokens/min" if row.has_tokens else "requests/min"
        lines.append(Measurement(WORK, row.name, rate, (rate, rate), unit, 1, notes))
        what = f"{row.name}: part of what is allowed"
        targets.append(Target(what, figures.goodput, row.least, at_most=False))
        if row.most_refused is not None:
            what = f"{row.name}: part refused"
            targets.append(Target(what, figures.refused, row.most_refused))
        if row is OUTAGE:
            what = "five seconds after an outage: part of 32 requests/s"
            targets.append(Target(what, part_after_outages(figures.logs[0]), 0.9, at_most=False))
        if row is SHARDS:
            least, most = min(figures.shares), max(figures.shares)
            targets.append(Target("least shard / limit", least, 0.18, at_most=False))
            targets.append(Target("largest shard / limit", most, 0.32))
    return Outcome(lines, targets)
