"""The rows of the benchmark: what is done, by whom, and what the ratio may be.

Each row is a function of `Setting` and `Plan` that returns measurements and targets.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from bench import authority
from bench.measure import Contender, Run, interleaved, median, run, spread
from bench.server import TEXT
from bench.setting import KEY, MODEL, Setting

OURS = "writer"


@dataclass(frozen=True)
class Plan:
    """How much to measure; `progress` is told where it stands."""

    runs: int
    growth: int
    progress: Callable[[str], None]


@dataclass(frozen=True)
class Measurement:
    """A line of the table: the median of a number of runs, and its quartiles."""

    work: str
    contender: str
    median: float
    quartiles: tuple[float, float]
    unit: str
    runs: int
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """What a ratio of two medians of the same run may be."""

    what: str
    value: float
    limit: float
    at_most: bool = True
    unit: str = "x"

    @property
    def is_met(self) -> bool:
        """Whether it is."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit


@dataclass(frozen=True)
class Outcome:
    """What a row found."""

    measurements: list[Measurement]
    targets: list[Target] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "measurements": [asdict(measurement) for measurement in self.measurements],
            "targets": [asdict(target) | {"met": target.is_met} for target in self.targets],
        }


def _measured(
    work: str, runs: dict[str, list[Run]], value: Callable[[Run], float], unit: str
) -> list[Measurement]:
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


def _milliseconds(one: Run) -> float:
    return 1000 * one.wall


def _rate(records: int, one: Run) -> float:
    return records / one.wall


def _microseconds_each(records: int, start: float, one: Run) -> float:
    """Return the CPU time of a record beyond the first, which paid for the start."""
    return 1e6 * (one.cpu - start) / (records - 1)


def _ratio(measurements: list[Measurement], ours: str, theirs: str) -> float:
    found = {measurement.contender: measurement.median for measurement in measurements}
    return found[ours] / found[theirs]


def startup(setting: Setting, plan: Plan) -> Outcome:
    """What starts before anything is done."""
    python, env = setting.python("ours"), setting.env
    asked = env | {
        "_WRITER_COMPLETE": "complete_bash",
        "COMP_WORDS": "writer comp",
        "COMP_CWORD": "1",
    }
    llm = str(setting.environments["llm"] / "bin" / "llm")
    contenders = [
        Contender("python -c pass", [python, "-c", "pass"], env, lambda out: not out),
        Contender('python -c "import typer"', [python, "-c", "import typer"], env, lambda _: True),
        Contender("writer --version", [setting.writer, "--version"], env, lambda o: b"writer" in o),
        Contender("writer comp<TAB>", [setting.writer], asked, lambda out: b"complete" in out),
        Contender("writer --help", [setting.writer, "--help"], env, lambda out: b"batch" in out),
        Contender("llm --version", [llm, "--version"], env, lambda out: b"llm" in out),
    ]
    runs = interleaved(contenders, plan.runs, plan.progress)
    found = _measured("start-up", runs, _milliseconds, "ms")
    reference = 'python -c "import typer"'
    return Outcome(
        found,
        [
            Target(f"{name} / {reference}", _ratio(found, name, reference), 1.15)
            for name in ("writer --version", "writer comp<TAB>")
        ],
    )


def completion(setting: Setting, plan: Plan) -> Outcome:
    """One completion, printed into a pipe."""
    outcome = Outcome([])
    for scheme, url in setting.urls.items():
        contenders = _one_completion(setting, scheme, url)
        plan.progress(scheme)
        runs = interleaved(contenders, plan.runs, plan.progress)
        found = _measured(f"one completion, {scheme}", runs, _milliseconds, "ms")
        outcome.measurements.extend(found)
        for theirs, limit in (("plain script", 0.8), ("writer-sdk", 0.4), ("llm", 0.25)):
            what = f"complete / {theirs}, {scheme}"
            outcome.targets.append(Target(what, _ratio(found, OURS, theirs), limit))
    return outcome


def _one_completion(setting: Setting, scheme: str, url: str) -> list[Contender]:
    env = setting.env_for(scheme)
    flags = ["-m", MODEL, "hi"]
    curl = [
        *("curl", "-s", "--fail-with-body", "--capath", str(authority.SYSTEM)),
        *("-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {KEY}"),
        *("-d", '{"prompt":"hi"}', f"{url}/llm/organization/1/model/{MODEL}/completions"),
    ]
    llm = [str(setting.environments["llm"] / "bin" / "llm"), "--no-stream", "-m", "bench", "hi"]
    commands = {
        OURS: [setting.writer, "complete", *flags],
        "curl": curl,
        "httpx, ten lines": setting.script("plain", "httpx_script", url, MODEL, "hi"),
        "plain script": setting.script("plain", "plain_script", *flags),
        "plain script, newest typer": setting.script("newest", "plain_script", *flags),
        "writer-sdk": setting.script("sdk", "sdk_script", url, MODEL, "hi"),
        "writerai 1.2.4": setting.script("old-sdk", "old_sdk_script", url, MODEL, "hi"),
        "llm": llm,
    }
    by_system = {OURS, "curl", "llm"}
    return [
        Contender(
            name,
            command,
            env if name in by_system else setting.env_for_certifi(scheme),
            lambda out: TEXT.encode() in out,
        )
        for name, command in commands.items()
    ]


def stream(setting: Setting, plan: Plan) -> Outcome:
    """How long a chunk takes from the server's hands to the pipe."""
    url, env = setting.urls["http"], setting.env_for("http")
    ours = [setting.writer, "complete", "--stream", "-m", MODEL, "hi"]
    curl = [
        *("curl", "-sN", "-H", "Content-Type: application/json", "-d", '{"prompt":"hi"}'),
        f"{url}/llm/organization/1/model/{MODEL}/completions/stream",
    ]
    contenders = [
        Contender(name, command, env, lambda out: len(_stamps(out)) > 1)
        for name, command in {
            OURS: ours,
            "curl -N": curl,
            "httpx, iter_lines": setting.script("plain", "httpx_stream", url, MODEL, "hi"),
        }.items()
    ]
    runs = interleaved(contenders, plan.runs, plan.progress)
    first = _measured("first chunk, http", runs, lambda one: 1000 * _delays(one)[0], "ms")
    later = _measured("later chunks, http", runs, lambda one: 1000 * median(_delays(one)[1:]), "ms")
    return Outcome(
        first + later,
        [
            Target(f"{what} beyond curl's", found[0].median - found[1].median, 5, unit="ms")
            for what, found in (("first chunk", first), ("later chunks", later))
        ],
    )


def _stamps(output: bytes) -> list[float]:
    """Return the server's clock in each whole chunk of what was printed, as text or as events."""
    text = output.decode().replace("\\n", "\n")
    words = text.replace('data: {"value": "', "").replace('"}', "").split("\n")
    return [float(word) for word in words if word]


def _delays(one: Run) -> list[float]:
    delays: list[float] = []
    seen = b""
    for arrived, data in one.arrivals:
        seen += data
        if not seen.endswith(b"\n"):
            continue
        stamps = _stamps(seen)
        delays += [arrived - stamp for stamp in stamps[len(delays) :]]
    return delays


def batch(setting: Setting, plan: Plan) -> Outcome:
    """Five thousand completions with 32 in flight, from a file to a file."""
    records = 5000
    url, env = setting.urls["http"], setting.env_for("http")
    source, target = _prompts(setting, records), setting.directory / "answers.jsonl"
    paths = [str(source), str(target), "32"]

    def is_whole(_: bytes) -> bool:
        return target.read_bytes().count(b"\n") == records

    contenders = [
        Contender(name, command, env, is_whole, records, lambda: target.unlink(missing_ok=True))
        for name, command in {
            OURS: _batch(setting, source, target),
            "plain loop": setting.script("plain", "plain_loop", url, MODEL, *paths),
            "writer-sdk, gather": setting.script("sdk", "sdk_gather", url, MODEL, *paths),
        }.items()
    ]
    contenders += _slow(setting, url, env)
    runs = interleaved(contenders, plan.runs, plan.progress)
    found = []
    for contender in contenders:
        done = runs[contender.name]
        count = contender.count
        [line] = _measured(
            "batch, http", {contender.name: done}, partial(_rate, count), "records/s"
        )
        memory = median(one.memory / 1e6 for one in done)
        notes = line.notes | {"memory_mb": memory, "records": contender.count}
        found.append(replace(line, notes=notes))
    return Outcome(
        found,
        [
            Target("batch / plain loop", _ratio(found, OURS, "plain loop"), 0.9, at_most=False),
            Target(
                "batch / writer-sdk", _ratio(found, OURS, "writer-sdk, gather"), 3, at_most=False
            ),
        ],
    )


def _slow(setting: Setting, url: str, env: dict[str, str]) -> list[Contender]:
    """Return those that start a process for each record: they get fewer of them."""
    few, more = 64, 250
    prompts = setting.directory / "prompts.txt"
    prompts.write_text("".join(f"prompt {number}\n" for number in range(few)))
    bodies = setting.directory / "bodies.txt"
    bodies.write_text("".join(f'{{"prompt":"prompt {number}"}}\n' for number in range(more)))
    xargs = [*("xargs", "-a", str(prompts), "-d", "\\n", "-n", "1", "-P", "32")]
    xargs += [setting.writer, "complete", "-m", MODEL]
    contenders = [
        Contender("xargs -P 32 writer complete", xargs, env, _counts(few, TEXT), few),
    ]
    if shutil.which("parallel"):
        address = f"{url}/llm/organization/1/model/{MODEL}/completions"
        curl = ["curl", "-s", "-H", "'Content-Type: application/json'", "-d", "{}", address]
        command = ["parallel", "--will-cite", "-j", "32", "-a", str(bodies), *curl]
        name = "GNU parallel, curl"
        contenders.append(Contender(name, command, env, _counts(more, TEXT), more))
    return contenders


def _counts(number: int, text: str) -> Callable[[bytes], bool]:
    return lambda out: out.count(text.encode()) == number


def _prompts(setting: Setting, records: int) -> Path:
    path = setting.directory / f"prompts-{records}.jsonl"
    with path.open("w") as file:
        for number in range(records):
            file.write(json.dumps({"id": number, "prompt": f"Write a line about {number}."}) + "\n")
    return path


def _batch(setting: Setting, source: Path, target: Path, *more: str) -> list[str]:
    command = [setting.writer, "batch", str(source), "-m", MODEL, "-o", str(target), "-q"]
    return [*command, "--concurrency", "32", *more]


GROWTH_ROUNDS = 3
LONG = 100_000
"""How often a batch of the row of growth is run, and from how many records on only once."""


def growth(setting: Setting, plan: Plan) -> Outcome:
    """What a record costs in CPU and memory, in a small batch and in a large one.

    Each batch that is done is run once more, which finds everything answered.
    """
    env, target = setting.env_for("http"), setting.directory / "grown.jsonl"
    sizes = [size for size in (10_000, 100_000, 1_000_000) if size < plan.growth] + [plan.growth]

    def contender(size: int) -> Contender:
        return Contender(
            f"{size:,} records",
            _batch(setting, _prompts(setting, size), target),
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
        # The largest comes between the others: what the machine does meanwhile is theirs too.
        for size in sizes:
            if size <= LONG or number == GROWTH_ROUNDS // 2:
                plan.progress(f"{size:,} records, round {number + 1} of {GROWTH_ROUNDS}")
                subject = contender(size)
                done[size].append(run(subject))
                again[size].append(run(replace(subject, prepare=lambda: None)))
    found, resumed = [], []
    for size in sizes:
        name = f"{size:,} records"
        [line] = _measured(
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
        [line] = _measured(work, {name: again[size]}, lambda one: one.wall, "s")
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


def rate(setting: Setting, plan: Plan) -> Outcome:
    """Two minutes' worth of records against a sandbox that lets so many a minute through.

    Both modes run at the same time, each with a sandbox of its own: they mostly wait.
    """
    rpm = 600
    records = 2 * rpm
    source = _prompts(setting, records)
    plan.progress(f"{records} records at {rpm} a minute, told and untold, some two minutes")
    started = [_Limited(setting, name, rpm, source) for name in ("told", "untold")]
    found = [limited.finish(rpm) for limited in started]
    targets = []
    for line, least, most in zip(found, (0.97, 0.9), (0.0, 0.05), strict=True):
        refused = line.notes["refused"] / line.notes["requests"]
        targets += [
            Target(f"goodput, {line.contender} / limit", line.median / rpm, least, at_most=False),
            Target(f"refused, {line.contender} / requests", refused, most),
        ]
    return Outcome(found, targets)


SETTLED = 60.0
"""Seconds after which goodput counts: a rate that nobody told is to be found first."""

LONGEST_RATE = 300.0
"""Seconds that a batch under a limit may take; what it has answered by then counts."""


class _Limited:
    """A sandbox with a limit, and a batch that runs into it or knows it."""

    def __init__(self, setting: Setting, name: str, rpm: int, source: Path) -> None:
        self.name = name
        self._log = setting.directory / f"{name}.log"
        sandbox = [setting.writer, "sandbox", "--rpm", str(rpm), "--json", "-q"]
        self._sandbox = subprocess.Popen(
            [*sandbox, "--log", str(self._log)],
            env=setting.env,
            stdout=subprocess.PIPE,
        )
        assert self._sandbox.stdout is not None
        url = json.loads(self._sandbox.stdout.readline())["url"]
        told = ["--rpm", str(rpm)] if name == "told" else []
        self._began = time.monotonic()
        target = setting.directory / f"{name}.jsonl"
        self._batch = subprocess.Popen(
            _batch(setting, source, target, *told), env=setting.env | {"WRITER_BASE_URL": url}
        )

    def finish(self, rpm: int) -> Measurement:
        left = LONGEST_RATE - (time.monotonic() - self._began)
        try:
            code = self._batch.wait(max(left, 1))
        except subprocess.TimeoutExpired:
            self._batch.terminate()  # what was answered by now is what counts
            self._batch.wait(30)
            code = 0
        finally:
            self._sandbox.terminate()
            self._sandbox.wait(10)
        if code:
            raise SystemExit(f"the batch under a limit, {self.name}, failed")
        logged = [json.loads(line) for line in self._log.read_text().splitlines()]
        from datetime import datetime

        times = [datetime.fromisoformat(line["time"]).timestamp() for line in logged]
        statuses = [line["status"] for line in logged]
        answered = [
            at for at, status in zip(times, statuses, strict=True) if status == HTTPStatus.OK
        ]
        settled = min(times) + SETTLED
        goodput = 60 * sum(at > settled for at in answered) / (max(times) - settled)
        notes = {
            "answered": len(answered),
            "refused": statuses.count(429),
            "requests": len(statuses),
            "limit": rpm,
        }
        name = f"writer batch --rpm {rpm}" if self.name == "told" else "writer batch, untold"
        work = f"a limit of {rpm} a minute, goodput after the first minute"
        return Measurement(work, name, goodput, (goodput, goodput), "records/min", 1, notes)


ROWS: dict[str, Callable[[Setting, Plan], Outcome]] = {
    "startup": startup,
    "completion": completion,
    "stream": stream,
    "batch": batch,
    "growth": growth,
    "rate": rate,
}
