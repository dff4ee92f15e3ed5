import json
from pathlib import Path

from tests.harness.program import writer
from tests.harness.servers import Received, Server, completion, http


def prompts(path: Path, count: int, different: int) -> str:
    """Write a file of this many prompts, with this many different ones."""
    path.write_text("".join(f"prompt {number % different}\n" for number in range(count)))
    return str(path)


def echo(request: Received) -> bytes:
    """Answer with the prompt."""
    return completion(request.json()["prompt"])


def results(path: Path) -> list[dict[str, object]]:
    """Return the results of a batch."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_request_is_sent_once(tmp_path: Path) -> None:
    """Equal records share an answer; limits and budgets count only requests."""
    source, cache = prompts(tmp_path / "p.txt", 100, 10), str(tmp_path / "cache")
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    common = ("batch", source, "--cache", cache, "--json")
    with Server(echo) as server:
        ran = writer(*common, "-o", str(first), "--max-requests", "10", env=server.env)
        assert (ran.code, ran.errors) == (0, "")
        again = writer(*common, "-o", str(second), "--max-requests", "0", env=server.env)
        assert (again.code, again.errors) == (0, "")
        assert len(server.requests) == 10
    asked, kept = json.loads(ran.output)["this_run"], json.loads(again.output)["this_run"]
    assert (asked["answered"], asked["cached"], asked["attempts"]) == (100, 90, 10)
    assert (kept["answered"], kept["cached"], kept["attempts"]) == (100, 100, 0)
    assert asked["latency"]["max_s"] > 0
    assert kept["latency"] == {"p50_s": None, "p95_s": None, "max_s": None}
    for number, (one, other) in enumerate(zip(results(first), results(second), strict=True)):
        assert one["choices"] == other["choices"]
        assert f'"prompt {number % 10}"' in json.dumps(one["choices"])
        assert other["attempts"] == 0


def test_offline_without_a_key_gives_the_same_results(tmp_path: Path) -> None:
    """A record that is not in the cache fails alone."""
    source, cache = prompts(tmp_path / "p.txt", 4, 2), str(tmp_path / "cache")
    with Server(echo) as server:
        writer("batch", source, "--cache", cache, "-o", str(tmp_path / "1.jsonl"), env=server.env)
    prompts(tmp_path / "p.txt", 3, 3)
    output = tmp_path / "2.jsonl"
    flags = ("--cache", cache, "--offline", "-m", "palmyra-x5", "--tpm", "1")
    ran = writer("batch", source, *flags, "-o", str(output))
    assert ran.code == 10
    assert "this run: 3 records, 0 requests, 2 from the cache, " in ran.errors
    assert "latency" not in ran.errors
    assert "1 x not_recorded: the answer to this request is not recorded in" in ran.errors
    first, second, third = results(output)
    assert [one["choices"] is not None for one in (first, second)] == [True, True]
    assert third["error"]["kind"] == "not_recorded"  # type: ignore[index]


def test_a_failure_is_not_shared(tmp_path: Path) -> None:
    """After a failure the next equal record sends the request again."""
    source, output = prompts(tmp_path / "p.txt", 3, 1), tmp_path / "o.jsonl"
    with Server(http(400), echo) as server:
        flags = ("--cache", str(tmp_path / "cache"), "-o", str(output))
        ran = writer("batch", source, *flags, env=server.env)
        assert len(server.requests) == 2
    assert ran.code == 10
    assert sorted(str(one["attempts"]) for one in results(output)) == ["0", "1", "1"]
    assert sum("error" in one for one in results(output)) == 1
