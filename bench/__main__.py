"""`make bench`: measure all contenders in one run. See README.md."""

import argparse
import json
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bench import environments, report
from bench.results import Plan
from bench.rows import ROWS
from bench.setting import setting

RESULTS = environments.REPOSITORY / "build" / "bench.json"
README = environments.REPOSITORY / "bench" / "README.md"


def main() -> None:
    """Measure the selected rows, print the table and save the result."""
    options = _options()
    if options.write_readme:
        report.write_into(README, report.table(json.loads(RESULTS.read_text())))
        return
    rows = options.rows.split() or list(ROWS)
    for name in rows:
        if name not in ROWS:
            raise SystemExit(f"there is no row {name}; the rows are: {' '.join(ROWS)}")
    made = environments.make_all()
    measured: dict[str, Any] = {}
    result: dict[str, Any] = {
        "version": 1,
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": report.commit(environments.REPOSITORY),
        "machine": report.machine(),
        "versions": {name: environments.versions(path) for name, path in made.items()},
        "tools": _tools(),
        "rows": measured,
    }
    with setting(made) as where:
        for name in rows:
            plan = Plan(options.runs, options.growth, partial(_say, name))
            measured[name] = ROWS[name](where, plan).as_dict()
            # After each row, so that an interrupted run keeps its results.
            result["machine_after"] = report.machine()
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    _say("", "")
    print(report.table(result))
    print(f"{RESULTS} has it as JSON; make bench-readme writes it into bench/README.md")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", default="", help=f"which rows, of: {' '.join(ROWS)}")
    parser.add_argument("--runs", type=int, default=15, help="how often each command runs")
    parser.add_argument("--growth", type=int, default=50_000, help="records of the largest batch")
    parser.add_argument("--write-readme", action="store_true", help="put the last table into it")
    return parser.parse_args()


def _tools() -> list[str]:
    """Return the versions of the system's tools."""
    found = []
    for name in ("curl", "openssl", "xargs", "parallel"):
        if shutil.which(name):
            flag = "version" if name == "openssl" else "--version"
            done = subprocess.run([name, flag], capture_output=True, text=True, check=False)
            found.append(" ".join(done.stdout.splitlines()[0].split()[:4]))
        else:
            found.append(f"no {name}")
    return found


def _say(row: str, text: str) -> None:
    if sys.stderr.isatty():
        line = f"{time.strftime('%H:%M:%S')} {row}: {text}" if row else ""
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()


if __name__ == "__main__":
    main()
