"""Check `writer` with an engine that is served with a key and a tiny random model.

Run by `make test-engines`. `ENGINE` names the engine; where the engines differ, the checks have
the real behaviour of each.
"""

import json
import os
import subprocess
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.harness.program import WRITER, Ran

ENGINE = os.environ["ENGINE"]
MODEL = os.environ["WRITER_MODEL_ID"]
PROMPT = "the sea"

only_llamacpp = pytest.mark.skipif(ENGINE != "llama.cpp", reason="a way of llama.cpp")
only_vllm = pytest.mark.skipif(ENGINE != "vllm", reason="a way of vLLM")


def writer(*arguments: str, **variables: str) -> Ran:
    """Run the program as a process of its own, without retries."""
    done = subprocess.run(
        [WRITER, *arguments],
        env=os.environ | {"WRITER_MAX_RETRIES": "0"} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def complete(*flags: str, prompt: str = PROMPT, **variables: str) -> Ran:
    """Complete a prompt."""
    return writer("complete", prompt, *flags, **variables)


def result(*flags: str) -> dict[str, Any]:
    """Return the JSON result of a successful completion."""
    ran = complete("--json", *flags)
    assert (ran.code, ran.errors) == (0, "")
    document: dict[str, Any] = json.loads(ran.output)
    return document


def test_models_are_listed() -> None:
    """The list has the model that is served."""
    assert writer("models") == Ran(0, f"{MODEL}\t{MODEL}\t\n", "")


def test_a_text_is_printed() -> None:
    """Standard output has the text and nothing else."""
    ran = complete("--max-tokens", "8")
    assert (ran.code, ran.errors) == (0, "")
    assert ran.output.endswith("\n")
    assert ran.output.strip()


def test_a_result_has_its_finish_reason_and_its_usage() -> None:
    """The reason is `length` at `max_tokens`, and `stop` if the model ended before."""
    document = result("--max-tokens", "8")
    [choice], usage = document["choices"], document["usage"]
    assert choice["finish_reason"] == ("length" if usage["completion_tokens"] == 8 else "stop")
    assert usage["prompt_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_stop_sequence_ends_the_text() -> None:
    """The text ends before the stop sequence."""
    flags = [flag for stop in (" ", "a", "e", "o") for flag in ("--stop", stop)]
    [choice] = result("--max-tokens", "200", *flags)["choices"]
    assert choice["finish_reason"] == "stop"
    assert not set(choice["text"]) & set(" aeo")


def test_a_stream_is_the_same_text_with_reason_and_usage() -> None:
    """At temperature 0 the stream has the text of the completion without a stream."""
    flags = ["--max-tokens", "8", "--temperature", "0"]
    whole = result(*flags)
    streamed = result("--stream", *flags)
    assert (streamed["choices"], streamed["usage"]) == (whole["choices"], whole["usage"])
    assert complete("--stream", *flags).output.removesuffix("\n") == whole["choices"][0]["text"]


def test_logprobs_run_in_parallel_with_the_text() -> None:
    """The tokens make the text, also where a token is a part of a character."""
    flags = ["--max-tokens", "200", "--logprobs", "2", "--random-seed", "3", "--temperature", "1"]
    [choice] = result(*flags)["choices"]
    logprobs = choice["logprobs"]
    tokens = logprobs["tokens"]
    if ENGINE == "llama.cpp":  # vLLM has its own forms for a part of a character
        assert any("\ufffd" in token for token in tokens)  # bytes that make no character
        assert "".join(tokens) == choice["text"]
        assert logprobs["text_offset"] == [*accumulate(map(len, tokens), initial=0)][:-1]
    assert len(tokens) == len(logprobs["token_logprobs"]) == len(logprobs["top_logprobs"])
    assert all(logprob <= 0 for logprob in logprobs["token_logprobs"])
    assert all(2 <= len(top) <= 3 for top in logprobs["top_logprobs"][:5])
    assert all(one <= two for one, two in pairwise(logprobs["text_offset"]))


def test_two_texts_come_in_their_order() -> None:
    """Two texts are printed with a line between them."""
    document = result("-n", "2", "--max-tokens", "8")
    assert [choice["index"] for choice in document["choices"]] == [0, 1]
    assert document["choices"][0]["text"] != document["choices"][1]["text"]
    assert "\n---\n" in complete("-n", "2", "--max-tokens", "8").output


def test_the_same_seed_gives_the_same_text() -> None:
    """The same seed gives the same text, another seed another text."""
    texts = [
        result("--max-tokens", "12", "--random-seed", seed)["choices"][0]["text"] for seed in "112"
    ]
    assert texts[0] == texts[1] != texts[2]


def test_the_other_fields_are_taken() -> None:
    """The engine accepts the other fields; llama.cpp ignores `min_tokens`."""
    flags = ["--min-tokens", "8", "--max-tokens", "8", "--top-p", "0.9"]
    flags += ["--presence-penalty", "0.5", "--frequency-penalty", "0.5"]
    document = result(*flags)
    if ENGINE == "vllm":
        assert document["usage"]["completion_tokens"] == 8


def test_best_of_is_ignored() -> None:
    """The engine ignores `best_of` and generates one text."""
    document = result("--best-of", "2", "--max-tokens", "4")
    assert len(document["choices"]) == 1
    assert document["usage"]["completion_tokens"] <= 4


@only_vllm
def test_a_model_that_is_not_served_is_not_found() -> None:
    """The error names the flag, and the hint how to list the models."""
    ran = complete("-m", "another")
    assert (ran.code, ran.output) == (5, "")
    assert ran.errors.splitlines()[0].endswith("(--model-id)")
    assert "hint: `writer models` lists the models of this server" in ran.errors


@only_llamacpp
def test_a_model_that_is_not_served_is_ignored() -> None:
    """The engine answers with its only model."""
    assert complete("-m", "another", "--max-tokens", "4").code == 0


@only_vllm
@pytest.mark.parametrize(
    ("flag", "value"), [("--max-tokens", "5000"), ("--logprobs", "1000"), ("--temperature", "9")]
)
def test_a_value_that_the_engine_refuses_is_named_as_a_flag(flag: str, value: str) -> None:
    """The first line has the engine's message and the flag."""
    ran = complete(flag, value, "--quiet")
    assert (ran.code, ran.output) == (5, "")
    assert ran.errors.splitlines()[0].endswith(f"({flag})")


@only_llamacpp
def test_a_value_that_the_engine_refuses_is_in_the_first_line() -> None:
    """More texts than the engine's four slots are an error in the first line."""
    ran = complete("-n", "50")
    assert (ran.code, ran.output) == (5, "")
    assert ran.errors.startswith("error: Field 'n")


@pytest.mark.parametrize("stream", [[], ["--stream"]])
def test_a_prompt_that_is_too_long_is_refused(stream: list[str]) -> None:
    """The error has the engine's message."""
    ran = complete(*stream, prompt="the sea and " * 2000)
    assert (ran.code, ran.output) == (5, "")
    assert "context" in ran.errors.splitlines()[0]
    assert "HTTP 400" in ran.errors


@pytest.mark.parametrize("key", ["another-key", ""])
def test_without_the_right_key_there_is_no_answer(key: str) -> None:
    """An empty variable is no key, and then none is sent."""
    ran = complete(WRITER_API_KEY=key)
    assert (ran.code, ran.output) == (4, "")
    assert "HTTP 401" in ran.errors


def test_a_server_that_is_not_there_is_a_network_error() -> None:
    """The hint fits an engine that may not run."""
    ran = complete(WRITER_BASE_URL="http://127.0.0.1:9")
    assert ran.code == 8
    assert "hint: check that the server runs at this URL" in ran.errors


def test_a_batch_of_500_with_32_in_flight(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every prompt gets its answer, and the summary has the sum of the tokens."""
    prompts, output = tmp_path / "prompts.txt", tmp_path / "answers.jsonl"
    prompts.write_text("".join(f"the sea was {number}\n" for number in range(500)))
    flags = ["--concurrency", "32", "--max-tokens", "8", "--json", "--quiet"]
    ran = writer("batch", str(prompts), "-o", str(output), *flags)
    assert (ran.code, ran.errors) == (0, "")
    summary = json.loads(ran.output)
    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [line["index"] for line in lines] == list(range(500))
    assert {line["choices"][0]["finish_reason"] for line in lines} <= {"length", "stop"}
    assert (summary["answered"], summary["failed"]) == (500, 0)
    used = summary["this_run"]["usage"]
    assert used == {name: sum(line["usage"][name] for line in lines) for name in used}
    with capsys.disabled():
        latency = summary["this_run"]["latency"]
        print(f"\n500 of 500 in {summary['elapsed_s']} s; tokens {used}; latency {latency}")
