"""The cost of a record in a small batch and in a large one."""

from dataclasses import replace
from functools import partial

from bench.batches import batch_command, prompts_file
from bench.measure import Contender, Run, median, run
from bench.results import Outcome, Plan, Target, measured
from bench.setting import Setting

GROWTH_ROUNDS = 3
LONG = 100_000
"""How often each batch runs; one of more than `LONG` records runs only once."""


def _microseconds_each(records: int, start: float, one: Run) -> float:
    """Return the CPU time per record without that of `start`, a batch of one record."""
    return 1e6 * (one.cpu - start) / (records - 1)


def growth(setting: Setting, plan: Plan) -> Outcome:
    """Measure the CPU time and the memory of a batch as it grows.

    Each finished batch runs once more: then every record is already answered.
    """
    env, target = setting.env_for("http"), setting.directory / "grown.jsonl"
    sizes = [size for size in (10_000, 100_000, 1_000_000) if size < plan.growth] + [plan.growth]

    def contender(size: int) -> Contender:
        return Contender(
            f"{size:,} records",
            batch_command(setting, prompts_file(setting, size), target),
            env,
            lambda _: True,
            size,
            lambda: target.unlink(missing_ok=True),
        )

    plan.progress("one record")
    start = median(run(contender(1)).cpu for _ in range(5))
    done: dict[int, list[Run]] = {size: [] for size in sizes}
    again: dict[int, list[Run]] = {size: [] for size in sizes}
    for number in range(GROWTH_ROUNDS):
        # The largest batch runs in the middle round, so that a slower machine slows all of them.
        for size in sizes:
            if size <= LONG or number == GROWTH_ROUNDS // 2:
                plan.progress(f"{size:,} records, round {number + 1} of {GROWTH_ROUNDS}")
                subject = contender(size)
                done[size].append(run(subject))
                again[size].append(run(replace(subject, prepare=lambda: None)))
    found, resumed = [], []
    for size in sizes:
        name = f"{size:,} records"
        [line] = measured(
            "batch that grows, CPU per record",
            {name: done[size]},
            partial(_microseconds_each, size, start),
            "µs",
        )
        notes = {
            "memory_mb": median(one.memory / 1e6 for one in done[size]),
            "records_per_s": size / median(one.wall for one in done[size]),
        }
        found.append(replace(line, notes=line.notes | notes))
        work = "the same batch once more, nothing left to do"
        [line] = measured(work, {name: again[size]}, lambda one: one.wall, "s")
        memory = median(one.memory / 1e6 for one in again[size])
        resumed.append(replace(line, notes=line.notes | {"memory_mb": memory}))
    least, most = found[0], found[-1]
    beyond = (most.notes["memory_mb"] - least.notes["memory_mb"]) * 1e6 / 2**20
    return Outcome(
        [*found, *resumed],
        [
            Target(
                f"CPU per record, {most.contender} / {least.contender}",
                most.median / least.median,
                1.1,
            ),
            Target(f"memory, {most.contender} beyond {least.contender}", beyond, 40, unit="MiB"),
            Target(f"nothing left to do, {most.contender}", resumed[-1].median, 60, unit="s"),
        ],
    )
