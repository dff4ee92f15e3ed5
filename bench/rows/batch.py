"""The throughput of a batch, compared with other ways to do the same."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from bench.batches import batch_command, prompts_file
from bench.measure import Contender, Run, interleaved, median
from bench.results import OURS, Outcome, Plan, Target, measured, ratio
from bench.server import TEXT
from bench.setting import MODEL, Setting


def _rate(records: int, one: Run) -> float:
    return records / one.wall


def batch(setting: Setting, plan: Plan) -> Outcome:
    """Measure 5,000 completions with 32 requests in flight, from a file to a file."""
    records = 5000
    url, env = setting.urls["http"], setting.env_for("http")
    source, target = prompts_file(setting, records), setting.directory / "answers.jsonl"
    paths = [str(source), str(target), "32"]

    def is_whole(_: bytes) -> bool:
        return target.read_bytes().count(b"\n") == records

    contenders = [
        Contender(name, command, env, is_whole, records, lambda: target.unlink(missing_ok=True))
        for name, command in {
            OURS: batch_command(setting, source, target),
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
        [line] = measured("batch, http", {contender.name: done}, partial(_rate, count), "records/s")
        memory = median(one.memory / 1e6 for one in done)
        notes = line.notes | {"memory_mb": memory, "records": contender.count}
        found.append(replace(line, notes=notes))
    return Outcome(
        found,
        [
            Target("batch / plain loop", ratio(found, OURS, "plain loop"), 0.9, at_most=False),
            Target(
                "batch / writer-sdk", ratio(found, OURS, "writer-sdk, gather"), 3, at_most=False
            ),
        ],
    )


def _slow(setting: Setting, url: str, env: dict[str, str]) -> list[Contender]:
    """Return the contenders that start one process for each record; they get fewer records."""
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
