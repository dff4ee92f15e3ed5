"""Real processes of `writer batch` that are killed or interrupted, or find the disk full."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from threading import Event

import pytest

from tests.harness.batches import (
    SOON,
    Echo,
    comparable,
    env_for,
    results_of,
    run_writer,
    serving,
    write_prompts,
    writer_process,
)
from writer_cli.cli import main
from writer_cli.output.terminal import Terminal

PERMANENT = ("fault-400", "fault-404", "fault-moderation", "fault-cut", "fault-garbage")
PASSING = ("fault-429", "fault-500", "fault-502-html")
STOPPING = ("fault-401", "fault-403", "fault-quota")


def arguments(source: Path, output: Path, *more: str) -> list[str | Path]:
    """Return the command line."""
    return ["batch", source, "-o", output, *more]


def prompts(count: int) -> list[str]:
    """Return as many prompts, the first of which is `prompt 0`."""
    return [f"prompt {index}" for index in range(count)]


@pytest.mark.parametrize("seed", [2])
def test_killed_at_any_moment_a_batch_ends_as_if_nothing_had_happened(
    tmp_path: Path, seed: int
) -> None:
    """Five SIGKILLs lose and repeat nothing, with 30 % of the records failing.

    The failures depend on the record, so that the result must equal that of an undisturbed run on
    the same server, except for times and attempts.
    """
    random = Random(seed)  # noqa: S311 - rehearsed failures
    fate = {
        prompt: random.choice(PERMANENT + PASSING) if random.random() < 0.3 else None
        for prompt in prompts(50)
    }
    stopping = {prompt: random.choice(STOPPING) for prompt in random.sample(prompts(50), 1)}

    def fault(prompt: str, count: int) -> str | None:
        if count == 1 and prompt in stopping:
            return stopping[prompt]
        count -= prompt in stopping
        return fate[prompt] if fate[prompt] in PERMANENT or count == 1 else None

    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(50))
    echo = Echo(fault)
    written: list[tuple[str, int]] = []
    with serving(echo, latency=0.02) as server:

        def run_to_the_end(path: Path) -> None:
            for _ in range(4):  # a refused key or quota ends a run, and the next goes on
                code, errors = run_writer(arguments(source, path), env_for(server))
                if code in {0, 10}:
                    return
                assert code in {4, 6}, errors
            pytest.fail("it does not end")

        for _ in range(5):
            command, env = arguments(source, output), env_for(server)
            with writer_process(command, env, is_measured=False) as process:
                wanted = len(results_of(output)) + random.randint(0, 12)
                while process.poll() is None and len(results_of(output)) < wanted:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(random.uniform(0.001, 0.05))
                process.kill()
                process.communicate()
            done = [f"prompt {result['index']}" for result in results_of(output)]
            written.extend((prompt, echo.counts[prompt]) for prompt in done)
        run_to_the_end(output)
        counts = dict(echo.counts)
        echo.forget()
        run_to_the_end(tmp_path / "undisturbed.jsonl")
    results = comparable(output)
    assert [result["index"] for result in results] == list(range(50))
    assert results == comparable(tmp_path / "undisturbed.jsonl")
    assert {"error" in result for result in results} == {True, False}
    assert written
    assert [(prompt, counts[prompt]) for prompt, _ in written] == written


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_waits_for_the_requests_under_way(
    tmp_path: Path, number: signal.Signals
) -> None:
    """After a signal nothing is sent, and the two requests under way are answered."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(100))
    echo = Echo()
    echo.gate.clear()
    command = arguments(source, output, "--concurrency", "2")
    with (
        serving(echo) as server,
        writer_process(command, env_for(server), is_measured=False) as process,
    ):
        echo.wait_for_requests(2)
        process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.0)  # it looks for signals five times a second
        echo.gate.set()
        errors = process.communicate(timeout=SOON)[1]
    assert process.returncode == -number
    assert errors.startswith(f"2 answered, 0 failed, in {output}\nthis run: 2 records, 2 requests")
    assert {result["index"] for result in results_of(output)} == {0, 1}
    assert echo.counts.total() == 2


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """A second Ctrl-C ends the batch without waiting for the requests under way."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(100))
    echo = Echo()
    echo.gate.clear()
    began = time.monotonic()
    with (
        serving(echo) as server,
        writer_process(arguments(source, output), env_for(server), is_measured=False) as process,
    ):
        echo.wait_for_requests(8)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SOON)
    assert process.returncode == -signal.SIGINT
    assert time.monotonic() - began < 8
    assert results_of(output) == []


def test_requests_under_way_have_a_grace_period(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted batch waits for the server no longer than the grace period."""
    monkeypatch.setattr("writer_cli.batch.job.GRACE_PERIOD", 0.3)
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(10))

    never = Event()

    def interrupt(prompt: str, _: int) -> None:
        if prompt == "prompt 1":
            os.kill(os.getpid(), signal.SIGINT)
            never.wait(SOON)

    with serving(Echo(interrupt)) as server:
        with pytest.raises(SystemExit) as ended:
            in_process(arguments(source, output, "--concurrency", "1"), env_for(server))
        never.set()
    assert ended.value.code == 130
    assert [result["index"] for result in results_of(output)] == [0]


def test_an_ignored_ctrl_c_stays_ignored(tmp_path: Path) -> None:
    """A batch in a shell's background ignores Ctrl-C, as the shell has set."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(4))
    echo = Echo()
    echo.gate.clear()

    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    command = arguments(source, output, "--concurrency", "1")
    with (
        serving(echo) as server,
        writer_process(command, env_for(server), preexec_fn=ignore) as process,
    ):
        echo.wait_for_requests(1)
        process.send_signal(signal.SIGINT)
        echo.gate.set()
        process.communicate(timeout=SOON)
    assert process.returncode == 0
    assert len(results_of(output)) == 4


def test_two_runs_on_one_output_do_not_mix(tmp_path: Path) -> None:
    """The second run exits with 2 and sends nothing, and the first goes on."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(3))
    echo = Echo()
    echo.gate.clear()
    with (
        serving(echo) as server,
        writer_process(arguments(source, output), env_for(server)) as first,
    ):
        echo.wait_for_requests(3)
        code, errors = run_writer(arguments(source, output), env_for(server))
        refusal = f"error: --output {output}: another run is writing to it\n"
        assert (code, errors) == (2, f"{refusal}hint: wait for it, or choose another file\n")
        echo.gate.set()
        first.communicate(timeout=SOON)
    assert first.returncode == 0
    assert [result["index"] for result in results_of(output)] == [0, 1, 2]
    assert echo.counts.total() == 3


def test_a_batch_ends_though_its_input_is_open(tmp_path: Path) -> None:
    """A refused key ends a batch though its standard input is open and silent."""
    with serving(Echo(lambda *_: "fault-401")) as server:
        command: list[str | Path] = ["batch", "-", "--format", "txt", "-o", tmp_path / "out.jsonl"]
        with writer_process(command, env_for(server), stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            process.stdin.write("prompt 0\n")
            process.stdin.flush()
            assert process.stderr is not None
            errors = process.stderr.read()
            assert process.wait(SOON) == 4
    assert "HTTP 401" in errors
    assert "Fatal" not in errors


def follow(hint: str, output: Path) -> None:
    """Run the command of a hint in a shell."""
    command = hint[hint.index("cat ") if "cat " in hint else hint.index("mv ") :]
    output.parent.mkdir(exist_ok=True)
    subprocess.run(["sh", "-c", command.partition(", and")[0]], check=True)


def assert_goes_on(echo: Echo, source: Path, output: Path, env: dict[str, str]) -> None:
    """Run the same command again: it completes the output and repeats no request."""
    code, errors = run_writer(arguments(source, output), env)
    assert code == 0, errors
    count = len(source.read_bytes().splitlines())
    assert [result["index"] for result in results_of(output)] == list(range(count))
    assert set(echo.counts.values()) == {1}
    assert len(echo.counts) == count


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 16 KiB, if that is allowed."""
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root can mount a small disk")
    options = ["-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place)]
    if subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_stops_it_and_loses_nothing(small_disk: Path, tmp_path: Path) -> None:
    """Results that do not fit are saved, and the hint's command with a new run completes them."""
    source, output = tmp_path / "in.jsonl", small_disk / "out.jsonl"
    write_prompts(source, prompts(100))
    echo = Echo()
    with serving(echo) as server:
        code, errors = run_writer(arguments(source, output), env_for(server))
        assert code == 11
        assert f"error: {output}: No space left on device" in errors
        assert output.read_bytes().endswith(b"\n")
        subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
        follow(errors, output)
        assert_goes_on(echo, source, output, env_for(server))


def test_a_quota_of_a_file_stops_it_and_loses_nothing(tmp_path: Path) -> None:
    """A limit of the file's size has the same effect as a full disk."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(100))
    echo = Echo()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    with serving(echo) as server:
        command = arguments(source, output)
        code, errors = run_writer(command, env_for(server), preexec_fn=limit, is_measured=False)
        assert code == 11
        assert f"error: {output}: File too large" in errors
        follow(errors, output)
        assert_goes_on(echo, source, output, env_for(server))


def test_a_lost_file_beside_a_refused_key_loses_no_result(tmp_path: Path) -> None:
    """If the output is deleted and the key refused, the answer is saved and reported."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(2))
    refused = Event()

    def fault(prompt: str, _: int) -> str | None:
        if prompt == "prompt 0":
            echo.wait_for_requests(2)
            output.unlink()
            refused.set()
            return "fault-401"
        refused.wait(SOON)
        time.sleep(0.3)  # the refusal comes first
        return None

    echo = Echo(fault)
    with serving(echo) as server:
        code, errors = run_writer(arguments(source, output), env_for(server))
        assert code == 11
        assert "was removed during the run" in errors
        follow(errors, output)
    assert [result["index"] for result in results_of(output)] == [1]


def test_no_room_for_the_order_leaves_the_results(tmp_path: Path) -> None:
    """If only the sorting fails, the next run sends nothing and sorts."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(20))
    echo = Echo()
    with serving(echo) as server:
        code, _ = run_writer(arguments(source, output), env_for(server))
        assert code == 0
        lines = output.read_bytes().splitlines(keepends=True)
        output.write_bytes(b"".join(reversed(lines)))

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

        code, errors = run_writer(
            arguments(source, output), env_for(server), preexec_fn=limit, is_measured=False
        )
        assert code == 11
        assert "all results are there, but unsorted" in errors
        assert output.read_bytes() == b"".join(reversed(lines))
        assert sorted(tmp_path.iterdir()) == [source, output]
        assert_goes_on(echo, source, output, env_for(server))


def test_a_vanished_directory_stops_it_and_loses_nothing(tmp_path: Path) -> None:
    """If the output's directory is deleted, all results are saved elsewhere."""
    source, output = tmp_path / "in.jsonl", tmp_path / "a place" / "out.jsonl"
    output.parent.mkdir()
    write_prompts(source, prompts(40))

    def fault(prompt: str, _: int) -> None:
        if prompt == "prompt 15":
            shutil.rmtree(output.parent)

    echo = Echo(fault)
    with serving(echo) as server:
        code, errors = run_writer(arguments(source, output), env_for(server))
        assert code == 11
        assert "was removed during the run" in errors
        follow(errors, output)
        assert_goes_on(echo, source, output, env_for(server))


def in_process(command: list[str | Path], env: dict[str, str]) -> tuple[int, str]:
    """Run `writer` in this process, and return its exit code and standard error."""
    terminal = Terminal.fake(env=env)
    return main([str(word) for word in command], terminal), terminal.errors


def test_an_input_that_ends_in_the_middle_of_a_line_fails_that_record(tmp_path: Path) -> None:
    """The other lines are answered; once the line is complete, it is run again."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(5))
    whole = source.read_bytes()
    source.write_bytes(whole[:-8])
    echo = Echo()
    with serving(echo) as server:
        code, errors = in_process(arguments(source, output), env_for(server))
        assert code == 10
        assert "4 answered, 1 failed" in errors
        assert results_of(output)[4]["error"]["message"].startswith("line 5: not JSON")
        source.write_bytes(whole)
        code, errors = in_process(arguments(source, output), env_for(server))
        assert code == 2
        assert "has the result of another request for record 4 (line 5): " in errors
        code, _ = in_process(arguments(source, output, "--retry-failed"), env_for(server))
        assert code == 0
    assert [result["choices"][0]["text"] for result in results_of(output)] == [
        f"echo of {prompt}" for prompt in prompts(5)
    ]
    assert set(echo.counts.values()) == {1}


def test_garbage_for_one_in_ten_costs_only_those(tmp_path: Path) -> None:
    """Nine of ten records are answered, and `--retry-failed` sends only the tenth again."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(50))
    echo = Echo(lambda prompt, count: "fault-garbage" if prompt[-1] + str(count) == "71" else None)
    with serving(echo) as server:
        code, errors = in_process(arguments(source, output), env_for(server))
        assert code == 10
        assert "45 answered, 5 failed" in errors
        code, _ = in_process(arguments(source, output), env_for(server))
        assert code == 10
        assert echo.counts.total() == 50
        code, errors = in_process(arguments(source, output, "--retry-failed"), env_for(server))
        assert code == 0
        assert "50 answered, 0 failed" in errors
    assert [result["index"] for result in results_of(output)] == list(range(50))
    assert [prompt[-1] for prompt, count in echo.counts.items() if count == 2] == ["7"] * 5


def test_changed_flags_and_inputs_stop_before_anything_is_sent(tmp_path: Path) -> None:
    """The error names the record that differs; `--overwrite` starts anew."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(3))
    echo = Echo()
    with serving(echo) as server:
        env = env_for(server)
        assert in_process(arguments(source, output), env)[0] == 0
        before = output.read_bytes()
        code, errors = in_process(arguments(source, output, "--temperature", "0.1"), env)
        assert (code, "another request for record 0 (line 1)" in errors) == (2, True)
        write_prompts(source, ["prompt 0", "another", "prompt 2", "one more"])
        code, errors = in_process(arguments(source, output), env)
        assert (code, "another request for record 1 (line 2)" in errors) == (2, True)
        assert output.read_bytes() == before
        assert echo.counts.total() == 3
        assert in_process(arguments(source, output, "--overwrite"), env)[0] == 0
    assert len(results_of(output)) == 4
    assert echo.counts["another"] == 1


def test_a_finished_batch_that_was_never_put_in_order_is(tmp_path: Path) -> None:
    """If a batch is killed before it sorts, the next run only sorts."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(10))
    echo = Echo()
    with serving(echo) as server:
        assert in_process(arguments(source, output), env_for(server))[0] == 0
        lines = output.read_bytes().splitlines(keepends=True)
        output.write_bytes(b"".join(reversed(lines)))
        code, errors = in_process(arguments(source, output), env_for(server))
    assert (code, output.read_bytes()) == (0, b"".join(lines))
    assert "this run: 0 records, 0 requests" in errors
    assert echo.counts.total() == 10


def test_standard_input_has_ids_and_keeps_prompts(tmp_path: Path) -> None:
    """Records from a pipe keep their ids, and their prompts with `--include-prompt`."""
    output = tmp_path / "out.jsonl"
    command = ["batch", "-", "--format", "jsonl", "-o", str(output), "--include-prompt"]
    with serving(Echo()) as server:
        terminal = Terminal.fake(
            stdin=b'{"prompt": "a", "id": "first"}\n{"prompt": "b"}\n', env=env_for(server)
        )
        assert main(command, terminal) == 0
    results = comparable(output)
    assert [list(result)[:4] for result in results] == [
        ["index", "id", "prompt", "choices"],
        ["index", "prompt", "choices", "usage"],
    ]
    assert [(result.get("id"), result["prompt"]) for result in results] == [
        ("first", "a"),
        (None, "b"),
    ]


def test_a_batch_runs_in_any_thread(tmp_path: Path) -> None:
    """A batch that is not in the main thread does not handle signals."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(3))
    with serving(Echo()) as server, ThreadPoolExecutor(1) as pool:
        run = pool.submit(in_process, arguments(source, output), env_for(server))
        assert run.result(SOON)[0] == 0
    assert len(results_of(output)) == 3


def test_a_second_signal_in_the_process_is_an_exit(tmp_path: Path) -> None:
    """A second signal of any kind raises `SystemExit` before the grace period is over."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_prompts(source, prompts(3))
    ended = Event()

    def interrupt(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        ended.wait(SOON)

    with serving(Echo(interrupt)) as server:
        with pytest.raises(SystemExit) as caught:
            in_process(arguments(source, output, "--concurrency", "1"), env_for(server))
        ended.set()
    assert caught.value.code in {130, 143}
    assert results_of(output) == []
