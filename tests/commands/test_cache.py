import json
import os
from pathlib import Path

import pytest

from tests.harness.program import Ran, writer


def filled(directory: Path) -> list[Path]:
    """Record two answers of the sandbox, and return their files."""
    for prompt in ("The sea", "The hill"):
        flags = ("--sandbox", "--cache", str(directory), "--max-tokens", "3")
        assert writer("complete", *flags, prompt).code == 0
    return sorted(directory.glob("*/*"))


def test_stats_are_a_table_or_json(tmp_path: Path) -> None:
    """The folder comes from the flag or the variable."""
    paths = filled(tmp_path)
    size = sum(path.stat().st_size for path in paths)
    ran = writer("cache", "stats", "--json", env={"WRITER_CACHE": str(tmp_path)})
    told = json.loads(ran.output)
    assert list(told) == [
        "version", "directory", "answers", "damaged", "bytes", "oldest", "newest", "usage",
    ]  # fmt: skip
    assert (told["answers"], told["bytes"], told["usage"]) == (2, size, None)
    shown = writer("cache", "stats", "--cache", str(tmp_path)).output
    assert f"answers\t2\ndamaged\t0\nbytes\t{size}\n" in shown
    assert shown.endswith("usage\tnot in the answers\n")
    told = json.loads(paths[0].read_text())
    told["answer"]["body"]["usage"] = {"prompt_tokens": 2, "completion_tokens": 3}
    paths[0].write_text(json.dumps(told))
    shown = writer("cache", "stats", "--cache", str(tmp_path)).output
    assert shown.endswith("usage\tprompt_tokens 2, completion_tokens 3\n")


def test_unused_recordings_are_pruned(tmp_path: Path) -> None:
    """`--unused` deletes recordings that were not used since the mark; `--dry-run` lists them."""
    paths = filled(tmp_path)
    for path in paths:
        os.utime(path, (1, 1))
    cache = ("--cache", str(tmp_path))
    assert json.loads(writer("cache", "mark", *cache, "--json").output) == {
        "version": 1,
        "directory": str(tmp_path),
    }
    assert writer("cache", "mark", *cache) == Ran(
        0, "", f"marked {tmp_path}: prune --unused keeps what is used from now on\n"
    )
    assert writer("complete", "--sandbox", *cache, "--max-tokens", "3", "The sea").code == 0
    [stale] = [path for path in paths if path.stat().st_mtime == 1]
    ran = writer("cache", "prune", "--unused", "--dry-run", *cache)
    assert ran == Ran(0, f"{stale}\n", "1 recording would be deleted\n")
    ran = writer("cache", "prune", "--unused", "--json", *cache)
    assert json.loads(ran.output)["deleted"] == [str(stale)]
    assert [path.exists() for path in paths] == [path != stale for path in paths]
    ran = writer("cache", "prune", "--unused", *cache)
    assert ran.code == 2
    assert ran.errors.startswith(f"error: --unused: there is no mark in {tmp_path}\n")


def test_old_recordings_are_pruned(tmp_path: Path) -> None:
    """`--older-than 52w` deletes only the recordings that are older."""
    paths = filled(tmp_path)
    told = json.loads(paths[1].read_text()) | {"recorded_at": "2020-01-01T00:00:00Z"}
    paths[1].write_text(json.dumps(told))
    ran = writer("cache", "prune", "--older-than", "52w", "--cache", str(tmp_path))
    assert ran == Ran(0, f"{paths[1]}\n", "1 recording deleted\n")
    assert sorted(tmp_path.glob("*/*")) == paths[:1]


def test_verify_names_what_is_damaged(tmp_path: Path) -> None:
    """`verify` lists damaged files with the reasons, and exits with 9."""
    paths = filled(tmp_path)
    cache = ("--cache", str(tmp_path))
    assert writer("cache", "verify", *cache) == Ran(0, "", "2 recordings in order, 0 damaged\n")
    paths[0].write_text("{")
    ran = writer("cache", "verify", *cache)
    assert (ran.code, ran.output) == (9, f"{paths[0]}: it is no recording\n")
    assert ran.errors == (
        "1 recording in order, 1 damaged\n"
        f"error: 1 file in {tmp_path} cannot be used\n"
        "hint: restore or delete each file: a deleted answer is asked for again\n"
    )
    ran = writer("cache", "verify", "--json", *cache)
    assert json.loads(ran.output) == {
        "version": 1,
        "directory": str(tmp_path),
        "in_order": 1,
        "damaged": [{"path": str(paths[0]), "reason": "it is no recording"}],
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stats"], "no cache: name its folder"),
        (["stats", "--cache", "/nowhere"], "--cache /nowhere is not a folder"),
        (["mark", "--cache", "/dev/null"], "--cache /dev/null is not a folder"),
        (["prune", "--cache", "/"], "prune needs --older-than or --unused"),
        (["prune", "--older-than", "30", "--cache", "/"], "--older-than '30' is not an age"),
        (["prune", "--older-than", "200000w"], "--older-than '200000w' is not an age"),
    ],
)
def test_wrong_arguments_are_a_usage_error(arguments: list[str], message: str) -> None:
    """Wrong arguments are an error, and no recording is deleted."""
    ran = writer("cache", *arguments)
    assert (ran.code, ran.output) == (2, "")
    assert ran.errors.startswith(f"error: {message}\nhint: ")


def test_a_mark_makes_the_folder(tmp_path: Path) -> None:
    """`mark` creates the folder, as in a first run in CI."""
    assert writer("cache", "mark", "--quiet", "--cache", str(tmp_path / "c")) == Ran(0, "", "")
    assert (tmp_path / "c").is_dir()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--replay-else-generate"], "--replay-else-generate needs --replay"),
        (["--replay", "/dev/null"], "--replay /dev/null is not a folder"),
    ],
)
def test_a_sandbox_replays_a_folder(flags: list[str], message: str) -> None:
    """`--replay` with something else is refused before the sandbox starts."""
    ran = writer("sandbox", *flags)
    assert (ran.code, ran.output) == (2, "")
    assert ran.errors.startswith(f"error: {message}\nhint: ")
