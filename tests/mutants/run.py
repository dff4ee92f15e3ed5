"""Change the code in small ways, and check whether a test fails for each change.

Usage: python -m tests.mutants.run --rooms "apis config" [--sample 100] [--seed 1]

Each change is made in a copy of the project, and the tests of the module are run there, then
those of its room. A change that makes no test fail has survived: it is printed, and either a test
is missing, or the change has no effect. Changes without an effect are listed in `equivalent.toml`
with the reason, and are left out.
"""

import argparse
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.mutations import Mutant, mutants_of

PROJECT = Path(__file__).parents[2]

EQUIVALENT = Path(__file__).with_name("equivalent.toml")

LEFT_OUT = shutil.ignore_patterns(".*", "bench", "docs/pictures", "__pycache__")

PYTEST = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]

FEW, AT_ONCE = 7, ["-n", "3"]
"""The tests of a room mostly wait. If they are more than a few files, several run at once."""

BUILT_ON = {
    "apis": [
        "tests/test_client.py",
        "tests/test_errors.py",
        "tests/commands/test_models.py",
        "tests/attacks/test_server_answers.py",
    ],
    "batch": ["tests/commands/batch", "tests/test_posix_only.py"],
    "config": ["tests/commands/config"],
    "http": [
        "tests/test_client.py",
        "tests/test_errors.py",
        "tests/cache",
        "tests/attacks/test_server_answers.py",
        "tests/attacks/test_server_lies.py",
        "tests/attacks/test_server_time.py",
    ],
}
"""Tests outside a room's folder that test the room."""

SLOW = {"tests/batch/test_crash.py", "tests/batch/test_gnu_parallel.py"}
"""Test files that kill processes for half a minute. They are left out: there are too many changes,
and the figure is too low rather than too high.
"""

TESTED_WITH = {
    "batch/counting": ["tests/batch/test_plan.py"],
    "batch/trial": ["tests/batch/test_learned_rate.py"],
    "batch/wall": ["tests/batch/test_limits.py", "tests/batch/test_learned_rate.py"],
    "config/key_command": ["tests/config/test_key.py"],
    "http/answer_json": ["tests/http/test_answer.py"],
    "http/error_answers": ["tests/http/test_answer.py"],
    "http/reply": ["tests/http/test_connection.py", "tests/http/test_streaming.py"],
    "http/tls": ["tests/http/test_transport.py"],
}
"""Test files of a module beside those that carry or import its name."""

OWN, ROOM, LATE, SURVIVED = "own tests", "room's tests", "time limit", "survived"


def main(arguments: Sequence[str]) -> int:
    """Return 0 if the tests noticed at least 95 of 100 changes."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("--rooms", default="apis config http batch")
    parser.add_argument("--sample", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    everything = [mutant for room in given.rooms.split() for mutant in mutants_in(room)]
    number = min(given.sample, len(everything))
    chosen = random.Random(given.seed).sample(everything, number)  # noqa: S311 - no secret
    print(f"{number} of {len(everything)} changes of {given.rooms}, seed {given.seed}", flush=True)
    outcomes = try_all(chosen)
    print(table(chosen, outcomes))
    noticed = sum(outcome != SURVIVED for outcome in outcomes)
    print(f"noticed: {noticed} of {number}, {100 * noticed / max(number, 1):.1f} %")
    return int(noticed < 0.95 * number)


def mutants_in(room: str) -> list[Mutant]:
    """Return the mutants of a room's modules, without the equivalent ones."""
    mutants: list[Mutant] = []
    for path in sorted((PROJECT / "writer_cli" / room).glob("*.py")):
        name = str(path.relative_to(PROJECT))
        mutants += mutants_of(name, path.read_text(encoding="utf-8"))
    known = {(one["file"], one["old"], one["new"]) for one in equivalent()}
    return [mutant for mutant in mutants if (mutant.file, *mutant.changed()) not in known]


def equivalent() -> list[dict[str, str]]:
    """Return the changes without an effect: file, old line, new line, reason."""
    entries: list[dict[str, str]] = tomllib.loads(EQUIVALENT.read_text())["equivalent"]
    return entries


def own_tests(file: str) -> list[str]:
    """Return the test files of a module: those of its room, and others that name it."""
    room, name = Path(file).parts[1], Path(file).stem
    naming = re.compile(
        rf"from writer_cli\.{room}\.{name} import|from writer_cli\.{room} import [^\n]*\b{name}\b"
    )
    beside = TESTED_WITH.get(f"{room}/{name}", [])
    return beside + [
        str(path.relative_to(PROJECT))
        for path in sorted((PROJECT / "tests").rglob("test_*.py"))
        if path.parent.name not in {"fuzz", "docs"}
        and str(path.relative_to(PROJECT)) not in {*SLOW, *beside}
        and (
            (path.parent.name == room and path.stem.startswith(f"test_{name}"))
            or naming.search(path.read_text(encoding="utf-8"))
        )
    ]


def room_tests(file: str) -> list[str]:
    """Return the tests of a module's room: its folder, and those of programs that use it."""
    room = Path(file).parts[1]
    own = sorted((PROJECT / "tests" / room).glob("test_*.py"))
    named = [str(path.relative_to(PROJECT)) for path in own]
    return [path for path in named if path not in SLOW] + BUILT_ON.get(room, [])


def try_all(mutants: list[Mutant]) -> list[str]:
    """Try the mutants in parallel, one per processor, and return which tests noticed each."""
    outcomes = [SURVIVED] * len(mutants)
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(mutants)):
        waiting.put(number)
    workers = [
        threading.Thread(target=_work, args=(mutants, waiting, outcomes))
        for _ in range(os.cpu_count() or 1)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return outcomes


def _work(mutants: list[Mutant], waiting: "queue.SimpleQueue[int]", outcomes: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder) / "project")
        while not waiting.empty():
            try:
                number = waiting.get_nowait()
            except queue.Empty:  # the other worker has taken the last one
                return
            mutant = mutants[number]
            outcomes[number] = copy.outcome(mutant)
            if outcomes[number] == SURVIVED:
                print(f"survived in {mutant.file}\n{mutant.diff()}\n", flush=True)


class Copy:
    """A copy of the project in which one module after another is mutated."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._durations: dict[str, float] = {}
        shutil.copytree(PROJECT, folder, ignore=LEFT_OUT)
        for name in (".dockerignore", ".ci"):
            source = PROJECT / name
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, folder / name)

    def outcome(self, mutant: Mutant) -> str:
        """Make a change, run the tests, and undo the change."""
        own, room = (
            [test for test in tests if self._measure(test)]
            for tests in (own_tests(mutant.file), room_tests(mutant.file))
        )
        self._write(mutant.file, mutant.after)
        try:
            for name, tests in ((OWN, own), (ROOM, room)):
                usual = sum(self._measure(test) for test in tests)
                passed = self._passes(tests, limit=30 + 2 * usual)
                if passed is None:
                    return LATE
                if not passed:
                    return name
        finally:
            self._write(mutant.file, mutant.before)
        return SURVIVED

    def _write(self, file: str, source: str) -> None:
        """Write a module and delete its bytecode, since a mutant may have its size and time."""
        path = self._folder / file
        path.write_text(source, encoding="utf-8")
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            compiled.unlink()

    def _measure(self, test: str) -> float:
        """Return the seconds that tests take without a change; 0 if they fail."""
        if not (self._folder / test).exists():  # written since the copy was made
            return 0.0
        if test not in self._durations:
            began = time.monotonic()
            if self._passes([test], limit=600) or self._passes([test], limit=600):
                self._durations[test] = time.monotonic() - began
            else:
                print(f"left out, as it fails without a change: {test}", flush=True)
                self._durations[test] = 0.0
        return self._durations[test]

    def _passes(self, tests: Sequence[str], limit: float) -> bool | None:
        """Whether tests pass; None if they take too long."""
        if not tests:
            return True
        env = os.environ | {"PYTHONPATH": str(self._folder)}
        several = AT_ONCE if len(tests) > FEW else []
        command = [*PYTEST, *several, "--hypothesis-seed=0", *tests]
        with subprocess.Popen(
            command,
            cwd=self._folder,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            try:
                return process.wait(limit) == 0
            except subprocess.TimeoutExpired:
                return None
            finally:
                _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill the tests and the processes that they started."""
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:  # all of them have ended
        process.wait()


def table(mutants: list[Mutant], outcomes: list[str]) -> str:
    """Return a line for each module: the number of changes, and how they were noticed."""
    rows: dict[str, Counter[str]] = {}
    for mutant, outcome in zip(mutants, outcomes, strict=True):
        rows.setdefault(mutant.file, Counter())[outcome] += 1
    columns = (OWN, ROOM, LATE, SURVIVED)
    lines = [f"| module | changes | {' | '.join(columns)} |", "| --- |" + " ---: |" * 5]
    for file in sorted(rows):
        cells = [str(rows[file].total()), *(str(rows[file][column]) for column in columns)]
        lines.append(f"| {file.removeprefix('writer_cli/')} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
