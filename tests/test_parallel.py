"""Shards with the tools that people already run; GNU parallel itself, where it is installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

needs_parallel = pytest.mark.skipif(
    "GNU"
    not in subprocess.run(
        ["parallel", "--version"], capture_output=True, text=True, check=False
    ).stdout
    if shutil.which("parallel")
    else True,
    reason="GNU parallel is not installed",
)


def bash(script: str, directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script that has this `writer` first on its path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", f"set -eo pipefail\n{script}"],
        cwd=directory,
        env=os.environ | {"PATH": path} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def indexes(path: Path) -> list[int]:
    """Return the indexes of an output, in its order."""
    return [json.loads(line)["index"] for line in path.read_bytes().splitlines()]


@needs_parallel
def test_parallel_runs_shards_that_become_one_file(tmp_path: Path) -> None:
    """Three processes share nine records; nothing is done twice, nothing is left out."""
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


@needs_parallel
def test_parallel_tells_by_its_exit_code_how_many_shards_failed(tmp_path: Path) -> None:
    """A shard with a bad record exits with 10; the others are not stopped by it."""
    (tmp_path / "in.jsonl").write_text('{"prompt": "a"}\n{}\n{"prompt": "b"}\n')
    done = bash(
        "code=0\n"
        "parallel --joblog log writer batch in.jsonl --sandbox --max-tokens 2 "
        "--shard {}/3 -o part-{}.jsonl --quiet ::: 0 1 2 || code=$?\n"
        "writer batch merge all.jsonl part-*.jsonl\n"
        "exit $code",
        tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr.endswith("2 answered, 1 failed, in all.jsonl\n")
    log = [line.split("\t") for line in (tmp_path / "log").read_text().splitlines()[1:]]
    assert sorted(row[6] for row in log) == ["0", "0", "10"]


@pytest.mark.parametrize(
    "variables",
    [
        [
            {
                "SLURM_ARRAY_TASK_ID": f"{n}",
                "SLURM_ARRAY_TASK_COUNT": "2",
                "SLURM_ARRAY_TASK_MIN": "0",
                "SLURM_ARRAY_TASK_MAX": "1",
            }
            for n in (0, 1)
        ],
        [{"JOB_COMPLETION_INDEX": f"{n}", "JOB_COMPLETIONS": "2"} for n in (0, 1)],
        [{"CI_NODE_INDEX": f"{n}", "CI_NODE_TOTAL": "2"} for n in (1, 2)],
    ],
    ids=["slurm", "kubernetes", "gitlab"],
)
def test_a_job_system_tells_each_machine_its_part(
    tmp_path: Path, variables: list[dict[str, str]]
) -> None:
    """One script on every machine does the whole."""
    (tmp_path / "in.txt").write_text("a\nb\nc\n")
    for number, given in enumerate(variables):
        script = (
            "writer batch in.txt --sandbox --max-tokens 2 --shard auto --quiet "
            f"-o part-{number}.jsonl"
        )
        assert bash(script, tmp_path, **given).returncode == 0
    assert [indexes(tmp_path / f"part-{number}.jsonl") for number in (0, 1)] == [[0, 2], [1]]
