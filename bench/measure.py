"""Start processes and measure their wall time, CPU time, memory, and the time of each byte."""

import os
import random
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Contender:
    """A command that does the work of a row.

    `is_right` returns for the output whether the work was done; `count` is the number of records;
    `prepare` is called before each run, outside the measurement.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    is_right: Callable[[bytes], bool]
    count: int = 1
    prepare: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Run:
    """One process from its start to its end, in seconds and bytes."""

    wall: float
    cpu: float
    memory: int
    output: bytes
    arrivals: list[tuple[float, bytes]] = field(repr=False)


def run(contender: Contender) -> Run:
    """Start a contender, read its output through a pipe, and measure it to its end."""
    contender.prepare()
    began = time.monotonic()
    process = subprocess.Popen(
        contender.command,
        env=contender.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        close_fds=False,  # lets Python start it by vfork
    )
    assert process.stdout is not None
    assert process.stderr is not None
    arrivals = []
    while data := os.read(process.stdout.fileno(), 65536):
        arrivals.append((time.monotonic(), data))
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    process.stderr.close()
    output = b"".join(data for _, data in arrivals)
    if process.returncode or not contender.is_right(output):
        raise SystemExit(
            f"{contender.name} did not do its work: exit code {process.returncode}\n"
            f"{' '.join(contender.command)}\n{output.decode(errors='replace')[:2000]}\n"
            f"{errors.decode(errors='replace')[-4000:]}"
        )
    # On Linux the memory of the starting process, some 25 MB, is the minimum.
    memory = usage.ru_maxrss * (1 if os.uname().sysname == "Darwin" else 1024)
    return Run(wall, usage.ru_utime + usage.ru_stime, memory, output, arrivals)


def interleaved(
    contenders: Sequence[Contender], rounds: int, progress: Callable[[str], None]
) -> dict[str, list[Run]]:
    """Run each contender once per round in random order, after one round to warm up."""
    order = list(contenders)
    shuffle = random.Random(0).shuffle
    runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + 1):
        progress("warming up" if number == 0 else f"round {number} of {rounds}")
        shuffle(order)
        for contender in order:
            result = run(contender)
            if number:
                runs[contender.name].append(result)
    return runs


def median(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def spread(values: Iterable[float]) -> tuple[float, float]:
    """Return the first and third quartile."""
    ordered = list(values)
    if len(ordered) == 1:
        return ordered[0], ordered[0]
    first, _, third = statistics.quantiles(ordered, n=4, method="inclusive")
    return first, third
