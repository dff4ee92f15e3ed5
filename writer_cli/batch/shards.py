"""Shards: each of several machines takes a part of the records."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from writer_cli.batch.records import Record
from writer_cli.errors import UsageError

_HINT = "--shard 0/4 is the first of four; record i belongs to shard i mod 4"


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` shards; it has the records with index mod `count` == `number`, from 0."""

    number: int = 0
    count: int = 1

    def of(self, records: Iterable[Record], limit: int | None) -> Iterator[Record]:
        """Yield the records of the shard among the first `limit` records of the input."""
        first = islice(records, limit)
        return (record for record in first if record.index % self.count == self.number)


def shard_of(text: str | None, env: Mapping[str, str]) -> Shard:
    """Parse `I/N`; for `auto`, read the environment variables of a job system.

    Slurm counts from 0 or 1, GitLab from 1, Kubernetes from 0. Raises `UsageError`.
    """
    if text is None:
        return Shard()
    if text == "auto":
        return _from_job_system(env)
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if match is None:
        raise UsageError(f"--shard {text}: the form is I/N", hint=_HINT)
    return _shard(int(match[1]), int(match[2]), f"--shard {text}")


def _from_job_system(env: Mapping[str, str]) -> Shard:
    if "SLURM_ARRAY_TASK_ID" in env:
        first = _number(env, "SLURM_ARRAY_TASK_MIN", "0")
        count = _number(env, "SLURM_ARRAY_TASK_COUNT")
        last = _number(env, "SLURM_ARRAY_TASK_MAX", str(first + count - 1))
        if first > 1 or last - first + 1 != count:
            # If only some tasks of an array run again, the numbers no longer tell the shards.
            raise UsageError(
                f"--shard auto: a Slurm array of {count} from {first} to {last} does not tell "
                "which shards these are",
                hint="run the whole array from 0 or 1: finished records are not sent again; or "
                "name the shard: --shard $SLURM_ARRAY_TASK_ID/N",
            )
        return _shard(_number(env, "SLURM_ARRAY_TASK_ID") - first, count, "SLURM_ARRAY_TASK_ID")
    if "JOB_COMPLETION_INDEX" in env:
        number = _number(env, "JOB_COMPLETION_INDEX")
        return _shard(number, _number(env, "JOB_COMPLETIONS"), "JOB_COMPLETION_INDEX")
    if "CI_NODE_INDEX" in env:
        number = _number(env, "CI_NODE_INDEX") - 1  # from 1, as GitLab counts
        return _shard(number, _number(env, "CI_NODE_TOTAL"), "CI_NODE_INDEX")
    raise UsageError(
        "--shard auto: no variable of a job system is set",
        hint="it reads SLURM_ARRAY_TASK_ID and _COUNT, JOB_COMPLETION_INDEX and JOB_COMPLETIONS, "
        "or CI_NODE_INDEX and CI_NODE_TOTAL",
    )


def _number(env: Mapping[str, str], name: str, default: str = "") -> int:
    value = env.get(name, default)
    if not value:
        raise UsageError(f"--shard auto: {name} is not set", hint=f"the job must set it; {_HINT}")
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise UsageError(f"--shard auto: {name} is {value!r}, not a number", hint=_HINT)
    return int(value)


def _shard(number: int, count: int, source: str) -> Shard:
    if not 0 <= number < count:
        raise UsageError(f"{source}: there is no shard {number} of {count}", hint=_HINT)
    return Shard(number, count)
