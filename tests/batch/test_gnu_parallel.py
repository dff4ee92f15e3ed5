"""Shards with GNU parallel, if it is installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HAS_PARALLEL = (
    shutil.which("parallel") is not None
    and b"GNU" in subprocess.run(["parallel", "--version"], capture_output=True, check=False).stdout
)
"""Whether it is GNU parallel: the `parallel` of moreutils has other flags."""

pytestmark = pytest.mark.skipif(not HAS_PARALLEL, reason="GNU parallel is not installed")


def bash(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a script that has this `writer` first on its PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", f"set -eo pipefail\n{script}"],
        cwd=directory,
        env=os.environ | {"PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def indexes(path: Path) -> list[int]:
    """Return the indexes of an output, in its order."""
    return [json.loads(line)["index"] for line in path.read_bytes().splitlines()]


def test_parallel_runs_shards_that_become_one_file(tmp_path: Path) -> None:
    """Three processes share nine records; each record is completed once."""
    (tmp_path / "in.txt").write_text("".join(f"Number {n}\n" for n in range(9)))
    done = bash(
        "parallel -j 3 writer batch in.txt --sandbox --max-tokens 2 "
        "--shard {}/3 -o part-{}.jsonl --quiet ::: 0 1 2\n"
        "writer batch merge all.jsonl part-*.jsonl --records 9",
        tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "9 answered, 0 failed, in all.jsonl\n")
    assert indexes(tmp_path / "all.jsonl") == [*range(9)]
    assert indexes(tmp_path / "part-1.jsonl") == [1, 4, 7]


def test_parallel_tells_by_its_exit_code_how_many_shards_failed(tmp_path: Path) -> None:
    """A shard with a bad record exits with 10, and the other shards go on."""
    (tmp_path / "in.jsonl").write_text('{"prompt": "a"}\n{}\n')
    done = bash(
        "code=0\n"
        "parallel --joblog log writer batch in.jsonl --sandbox --max-tokens 2 "
        "--shard {}/2 -o part-{}.jsonl --quiet ::: 0 1 || code=$?\n"
        "exit $code",
        tmp_path,
    )
    assert done.returncode == 1
    log = [line.split("\t") for line in (tmp_path / "log").read_text().splitlines()[1:]]
    assert sorted(row[6] for row in log) == ["0", "10"]
