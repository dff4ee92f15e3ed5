"""A batch against a rate limit: how much of the limit it uses, how often it is refused."""

import json
import subprocess
import time
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

from bench.batches import batch_command, prompts_file
from bench.results import Measurement, Outcome, Plan, Target
from bench.setting import Setting


def rate(setting: Setting, plan: Plan) -> Outcome:
    """Measure a batch against a sandbox with a limit of requests a minute.

    The batch runs once with `--rpm` and once without, both at the same time, since they mostly
    wait. Each has its own sandbox.
    """
    rpm = 600
    records = 2 * rpm
    source = prompts_file(setting, records)
    plan.progress(f"{records} records at {rpm} a minute, with and without --rpm, about two minutes")
    started = [_Limited(setting, name, rpm, source) for name in ("with-rpm", "without-rpm")]
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
"""Seconds after which goodput counts: without `--rpm` the batch must find the rate first."""

LONGEST_RATE = 300.0
"""Seconds after which a batch is stopped; the answers until then count."""


class _Limited:
    """A sandbox with a rate limit, and a batch that runs against it with or without `--rpm`."""

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
        flags = ["--rpm", str(rpm)] if name == "with-rpm" else []
        self._began = time.monotonic()
        target = setting.directory / f"{name}.jsonl"
        self._batch = subprocess.Popen(
            batch_command(setting, source, target, *flags),
            env=setting.env | {"WRITER_BASE_URL": url},
        )

    def finish(self, rpm: int) -> Measurement:
        left = LONGEST_RATE - (time.monotonic() - self._began)
        try:
            code = self._batch.wait(max(left, 1))
        except subprocess.TimeoutExpired:
            self._batch.terminate()  # only the answers until now count
            self._batch.wait(30)
            code = 0
        finally:
            self._sandbox.terminate()
            self._sandbox.wait(10)
        if code:
            raise SystemExit(f"the batch under a limit, {self.name}, failed")
        logged = [json.loads(line) for line in self._log.read_text().splitlines()]
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
        name = f"writer batch --rpm {rpm}" if self.name == "with-rpm" else "writer batch, no --rpm"
        work = f"a limit of {rpm} a minute, goodput after the first minute"
        return Measurement(work, name, goodput, (goodput, goodput), "records/min", 1, notes)
