"""Try the properties of this folder with fresh seeds until the time is up.

Usage: python -m tests.fuzz.run MINUTES [PART OF A NAME]...

There is a process for each processor. Each takes the next property, tries some hundred examples of
it with a new seed, and goes on with the next one. At the end a line for each property says how
many examples were tried. Each failure is printed with the command that repeats it, and the exit
code is then 1.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from itertools import cycle
from pathlib import Path

PROJECT = Path(__file__).parents[2]

EXAMPLES = 150
"""How many examples of a property are tried with one seed."""

PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]


class Fuzzing:
    """The properties and their results so far, shared by threads."""

    def __init__(self, properties: list[str], seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        self.examples: Counter[str] = Counter(dict.fromkeys(properties, 0))
        self.failures: list[str] = []
        # In random order, so that a short run does not always try the same ones.
        self._next = cycle(random.sample(properties, len(properties)))
        self._lock = threading.Lock()

    def work(self) -> None:
        """Try one property after another until the time is over."""
        while time.monotonic() < self.ends:
            with self._lock:
                name = next(self._next)
            self.attempt(name, random.randrange(2**32))  # noqa: S311 - a seed is no secret

    def attempt(self, name: str, seed: int) -> None:
        """Try a property with one seed, and store the result."""
        command = [*PYTEST, f"--hypothesis-seed={seed}", "--hypothesis-show-statistics", name]
        # A folder of its own, since two runs of pytest may delete each other's link.
        with tempfile.TemporaryDirectory() as folder:
            env = os.environ | {
                "FUZZ_EXAMPLES": str(EXAMPLES),
                "PYTEST_DEBUG_TEMPROOT": folder,
            }
            done = subprocess.run(
                command, cwd=PROJECT, env=env, capture_output=True, text=True, check=False
            )
        tried = re.findall(r"- (\d+) passing, (\d+) failing", done.stdout)
        with self._lock:
            self.examples[name] += sum(map(int, sum(tried, ())))
            if done.returncode != 0:
                repeat = f"FUZZ_EXAMPLES={EXAMPLES} pytest -p no:randomly --hypothesis-seed={seed}"
                print(f"{done.stdout}{done.stderr}\nto repeat it:\n  {repeat} {name}", flush=True)
                self.failures.append(f"{name} with seed {seed}")


def properties_named(parts: list[str]) -> list[str]:
    """Return the properties whose names contain one of the parts, or all of them."""
    collecting = [*PYTEST, "--collect-only", "tests/fuzz"]
    done = subprocess.run(collecting, cwd=PROJECT, capture_output=True, text=True, check=True)
    names = [line for line in done.stdout.splitlines() if "::" in line]
    return [name for name in names if not parts or any(part in name for part in parts)]


def main(minutes: float, parts: list[str]) -> int:
    """Return 1 if a property failed."""
    properties = properties_named(parts)
    fuzzing = Fuzzing(properties, minutes * 60)
    workers = [threading.Thread(target=fuzzing.work) for _ in range(os.cpu_count() or 1)]
    print(
        f"{len(properties)} properties, {len(workers)} processes, {minutes:g} minutes", flush=True
    )
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for name, count in fuzzing.examples.items():
        print(f"{count:7} examples  {name}")
    print(f"{fuzzing.examples.total():7} examples, {len(fuzzing.failures)} failures")
    for failure in fuzzing.failures:
        print(f"  {failure}")
    return int(bool(fuzzing.failures))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
