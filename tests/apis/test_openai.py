"""The dialect of OpenAI-compatible engines: their requests and answers."""

import json
from pathlib import Path
from typing import Any

import pytest

import writer_cli as writer
from tests.harness.events import event, stream
from tests.harness.program import Ran
from tests.harness.program import writer as run
from tests.harness.servers import Script, Server, Step, http

REQUEST = writer.CompletionRequest(prompt="p")
USAGE = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
DONE = b"data: [DONE]\n\n"


def choice(text: str, index: int = 0, **more: Any) -> dict[str, Any]:
    """Return a choice as engines send it; `more` may set its finish reason."""
    return {"index": index, "text": text, "logprobs": None, "finish_reason": None} | more


def answer(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the answer of an engine, or one event of its stream."""
    about = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m"}
    return about | {"choices": list(choices)} | more


def streamed(*events: dict[str, Any], end: bytes = DONE) -> list[Step]:
    """Write a stream of these events."""
    return stream(*map(event, events), end)


def refusal(status: int, message: str, **more: Any) -> bytes:
    """Write an error as engines send it."""
    return http(status, {"error": {"message": message, "code": status} | more})


def ask(server: Server, *arguments: str, stderr_is_terminal: bool = False, **env: str) -> Ran:
    """Run `complete` against an engine without a key and without retries."""
    given = {"WRITER_API": "openai", "WRITER_BASE_URL": server.url, "WRITER_MAX_RETRIES": "0"}
    return run(
        *("complete", "-m", "m", "p", *arguments),
        env=given | env,
        stderr_is_terminal=stderr_is_terminal,
    )


def result(script: Script, *arguments: str) -> dict[str, Any]:
    """Return the JSON result of `complete` for an answer."""
    with Server(script) as server:
        ran = ask(server, "--json", *arguments)
    assert (ran.code, ran.errors) == (0, "")
    document: dict[str, Any] = json.loads(ran.output)
    return document


# Requests.


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_a_request_has_the_names_of_the_api_and_no_key(path: str) -> None:
    """A base URL may end in /v1; without a key there is no `Authorization` header."""
    fields: dict[str, Any] = {
        "prompt": "p",
        "max_tokens": 5,
        "min_tokens": 2,
        "temperature": 0.5,
        "top_p": 0.25,
        "stop": ["a"],
        "presence_penalty": 0.125,
        "frequency_penalty": 1,
        "best_of": 2,
        "n": 1,
        "logprobs": 3,
    }
    request = writer.CompletionRequest(**fields, random_seed=7)
    with Server(http(200, answer(choice("x"))), http(200, {"data": []})) as server:
        with writer.Writer(api="openai", base_url=server.url + path) as s:
            s.completions.create(completion_request=request, model_id="a/b")
            s.models.list()
        completion, models = server.requests
    assert completion.line == "POST /v1/completions HTTP/1.1"
    assert completion.json() == {"model": "a/b", **fields, "seed": 7}
    assert models.line == "GET /v1/models HTTP/1.1"
    assert "authorization" not in completion.headers | models.headers


def test_a_stream_is_asked_for_with_its_usage() -> None:
    """A stream is requested with `include_usage`, since engines leave usage out otherwise."""
    with writer.Writer(api="openai", base_url="http://127.0.0.1:1") as s:
        prepared = s.completions.prepare(completion_request=REQUEST, model_id="m", stream=True)
    assert prepared.body == {
        "model": "m",
        "prompt": "p",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert prepared.headers["Accept"] == "text/event-stream"
    assert "Authorization" not in prepared.headers


def test_a_key_is_sent_where_there_is_one() -> None:
    """A key that is set is sent, for a server that was started with one."""
    with Server(http(200, answer(choice("x")))) as server:
        assert ask(server, WRITER_API_KEY="k-1") == Ran(0, "x\n", "")
    assert server.requests[0].headers["authorization"] == "Bearer k-1"


def test_a_base_url_is_required_and_the_usual_ones_are_shown() -> None:
    """There is no default base URL; the hint lists the usual ones."""
    assert run("--api", "openai", "complete", "-m", "m", "p") == Ran(
        3,
        "",
        "error: no base URL: this API has no default URL\n"
        "hint: `writer config set base_url URL`, or WRITER_BASE_URL, or --base-url; usual ones: "
        "vLLM http://127.0.0.1:8000, llama.cpp http://127.0.0.1:8080, "
        "Ollama http://127.0.0.1:11434, LM Studio http://127.0.0.1:1234\n",
    )


def test_plain_http_to_a_private_network_needs_a_setting(tmp_path: Path) -> None:
    """A profile with `allow_http` may use plain http to a private network."""
    config = tmp_path / "config.toml"
    config.touch(0o600)
    settings = 'api = "openai"\nbase_url = "http://10.1.2.3:8000"\n'
    arguments = ["complete", "--profile", "desk", "-m", "m", "p", "--dry-run"]
    config.write_text(f"[profiles.desk]\n{settings}")
    refused = run(*arguments, env={"WRITER_CONFIG": str(config)})
    assert refused.code == 3
    assert refused.errors.startswith(
        "error: base_url: 10.1.2.3 is not this machine, and plain http lets others in the network "
        "read the key and the texts\n"
    )
    config.write_text(f"[profiles.desk]\n{settings}allow_http = true\n")
    allowed = run(*arguments, env={"WRITER_CONFIG": str(config)})
    assert json.loads(allowed.output)["url"] == "http://10.1.2.3:8000/v1/completions"


@pytest.mark.parametrize("arguments", [["customizations"], ["complete-custom", "p"]])
def test_an_engine_has_no_customizations(arguments: list[str]) -> None:
    """A request for a customization is refused and not sent."""
    flags = ["--customization-id", "c"] if len(arguments) > 1 else []
    with Server(b"") as server:
        env = {"WRITER_API": "openai", "WRITER_BASE_URL": server.url, "WRITER_MODEL_ID": "m"}
        ran = run(*arguments, *flags, env=env)
    assert (ran.code, server.connections) == (2, 0)
    assert "customizations exist only in the enterprise API" in ran.errors
    with (
        writer.Writer(api="openai", base_url="http://127.0.0.1:1") as s,
        pytest.raises(writer.UsageError, match="only in"),
    ):
        s.api.read_customizations({"customizations": []})


# Answers.


def test_choices_are_in_the_order_of_their_index_with_finish_reasons_and_usage() -> None:
    """The JSON result and the library sort choices by their index."""
    second = choice("two", 1, finish_reason="length")
    first = choice("one", 0, finish_reason="stop")
    script = http(200, answer(second, first, usage=USAGE | {"more": {"x": 1}}))
    document = result(script, "-n", "2")
    assert (document["choices"], document["usage"]) == ([first, second], USAGE)
    with Server(script) as server, writer.Writer(api="openai", base_url=server.url) as s:
        response = s.completions.create(completion_request=REQUEST, model_id="m")
    assert response.completion_response is not None
    assert [c.finish_reason for c in response.completion_response.choices] == ["stop", "length"]
    assert response.usage == writer.Usage(**USAGE)


@pytest.mark.parametrize("more", [{}, {"usage": None}, {"usage": "much"}])
def test_fields_that_an_engine_leaves_out_are_null(more: dict[str, Any]) -> None:
    """Fields that an engine leaves out are null in the result."""
    document = result(http(200, {"choices": [{"text": "x"}]} | more))
    assert (document["choices"], document["usage"]) == ([choice("x")], None)


def test_finish_reason_and_usage_are_read_from_writers_own_apis_too() -> None:
    """Writer's APIs do not document these fields, but they are read if they come."""
    body = {"choices": [{"text": "x", "finish_reason": "stop"}], "usage": USAGE}
    for api in ("enterprise", "studio"):
        with Server(http(200, body)) as server:
            ran = run("complete", "p", "--json", "--api", api, env=server.env)
        document = json.loads(ran.output)
        assert (document["choices"], document["usage"]) == (
            [choice("x", finish_reason="stop")],
            USAGE,
        )


@pytest.mark.parametrize(
    "ends",
    [
        # vLLM gives the reason with the last token, and the usage in an event without choices.
        [answer(choice("b", finish_reason="length")), answer(usage=USAGE)],
        # llama.cpp has both in a last event without text.
        [answer(choice("b")), answer(choice("", finish_reason="length"), usage=USAGE)],
    ],
    ids=["vllm", "llama.cpp"],
)
def test_a_stream_ends_with_its_finish_reason_and_usage(ends: list[dict[str, Any]]) -> None:
    """A stream's finish reason and usage are read in the form of vLLM and of llama.cpp."""
    script = streamed(answer(choice("a"), usage=None), *ends)
    document = result(script, "--stream")
    assert document["choices"] == [choice("ab", finish_reason="length")]
    assert document["usage"] == USAGE
    with Server(script) as server, writer.Writer(api="openai", base_url=server.url) as s:
        with s.completions.stream(completion_request=REQUEST, model_id="m") as chunks:
            texts = [chunk.text for chunk in chunks]
        assert "".join(texts) == chunks.text == "ab"
    assert (chunks.finish_reason, chunks.usage) == ("length", writer.Usage(**USAGE))


def test_a_stream_in_which_choices_alternate_gives_the_first() -> None:
    """Events of other choices, by their index, are ignored."""
    events = [answer(choice("a", 0)), answer(choice("x", 1)), answer(choice("b", 0))]
    events += [answer(choice("y", 1), choice("c", 0, finish_reason="stop"))]
    document = result(streamed(*events), "--stream")
    assert document["choices"] == [choice("abc", finish_reason="stop")]


def test_a_stream_without_its_end_mark_was_cut() -> None:
    """A stream without [DONE] was cut, and the text so far is kept."""
    with Server(streamed(answer(choice("Once")), end=b"")) as server:
        ran = ask(server, "--stream")
    assert (ran.code, ran.output) == (9, "Once")
    assert ran.errors.startswith("error: the stream ended without [DONE]\n")


def test_an_error_inside_a_stream_has_the_status_that_it_names() -> None:
    """An error in a stream without a status counts as 500."""
    for code, exit_code in ((503, 7), (429, 6), (None, 7)):
        failed = {"error": {"message": "out of memory", "type": "x", "param": None, "code": code}}
        with Server(streamed(answer(choice("Once")), failed)) as server:
            ran = ask(server, "--stream")
        assert (ran.code, ran.output) == (exit_code, "Once")
        assert ran.errors.startswith("error: out of memory\n")


@pytest.mark.parametrize(
    "wrong", [{"choices": [{"index": 0}]}, {"choices": [{"text": 5}]}, {"choices": ["a"]}]
)
def test_an_event_of_another_shape_is_a_bad_answer(wrong: dict[str, Any]) -> None:
    """The hint for an event of an unexpected shape fits an engine."""
    with Server(streamed(wrong)) as server:
        ran = ask(server, "--stream")
    assert ran.code == 9
    assert ran.errors.startswith("error: the stream has an event without text: ")
    assert ran.errors.endswith(
        "hint: check that --base-url is the URL of the server: `writer config check`\n"
    )


def test_models_are_listed_by_their_ids() -> None:
    """llama.cpp's second list of models, of another shape, is ignored."""
    listed = {"object": "list", "data": [{"id": "a", "object": "model"}, {"id": "b/c"}]}
    with Server(http(200, listed | {"models": [{"name": "x", "model": "x"}]})) as server:
        ran = run("models", "--api", "openai", "--base-url", server.url)
    assert ran == Ran(0, "a\ta\t\nb/c\tb/c\t\n", "")


# Log probabilities.


def test_logprobs_come_as_parallel_lists() -> None:
    """The parallel lists of the completions API, as vLLM sends them, are read."""
    logprobs = {
        "tokens": [" a", "b"],
        "token_logprobs": [-0.5, -1.5],
        "top_logprobs": [{" a": -0.5}, {"c": -1.0, "b": -1.5}],
        "text_offset": [0, 2],
    }
    document = result(http(200, answer(choice(" ab", logprobs=logprobs))), "--logprobs", "1")
    assert document["choices"][0]["logprobs"] == logprobs


def token(text: str, raw: bytes | None, logprob: float, *top: dict[str, Any]) -> dict[str, Any]:
    """Return a token as llama.cpp sends it."""
    as_list = None if raw is None else list(raw)
    return {"token": text, "bytes": as_list, "logprob": logprob, "top_logprobs": list(top)}


def test_logprobs_come_as_a_list_of_tokens_that_may_be_parts_of_a_character() -> None:
    """llama.cpp's tokens make the text; a partial character is shown by its bytes."""
    euro = "€".encode()
    content = [
        token(" a", b" a", -0.25, token(" a", b" a", -0.25), token(" a", b" a", -9.0)),
        token("", euro[:1], -0.5, token("", euro[:1], -0.5), token("", b"\xc3", -1.0)),
        token("\ufffd", euro[1:], -0.75, token("\ufffd", euro[1:], -0.75)),
        token("b", None, -1.25, token("b", None, -1.25)),
        token("", euro[:2], -1.5),
    ]
    script = http(200, answer(choice(" a€b\ufffd", logprobs={"content": content})))
    [found] = result(script, "--logprobs", "2")["choices"]
    assert found["logprobs"] == {
        "tokens": [" a", "", "€", "b", "\ufffd"],
        "token_logprobs": [-0.25, -0.5, -0.75, -1.25, -1.5],
        "top_logprobs": [
            {" a": -0.25},
            {"bytes:\\xe2": -0.5, "bytes:\\xc3": -1.0},
            {"bytes:\\x82\\xac": -0.75},
            {"b": -1.25},
            {},
        ],
        "text_offset": [0, 2, 2, 3, 4],
    }


@pytest.mark.parametrize(
    "wrong",
    [
        5,
        {"content": 5},
        {"content": ["a"]},
        {"content": [{"token": "a"}]},
        {"content": [token("a", None, -1, {"token": "a"})]},
        {"content": [{"token": "a", "bytes": [300], "logprob": -1, "top_logprobs": []}]},
        {"tokens": 5},
    ],
)
def test_logprobs_of_another_shape_are_left_out(wrong: Any) -> None:
    """Log probabilities of another shape cause a warning, and the text is kept."""
    with Server(http(200, answer(choice("x", logprobs=wrong)))) as server:
        ran = ask(server, "--logprobs", "1")
    assert ran == Ran(0, "x\n", "warning: --logprobs: the answer has none\n")


# Errors.


@pytest.mark.parametrize(
    ("status", "error", "code", "said"),
    [
        (
            400,
            {
                "message": "max_tokens=5000 is greater than 512.",
                "type": "BadRequestError",
                "param": "max_tokens",
            },
            5,
            "error: max_tokens=5000 is greater than 512. (--max-tokens)\n",
        ),
        (
            400,
            {
                "message": "1 validation error:\n  {'msg': 'not a number'}",
                "type": "Bad Request",
                "param": "body.temperature",
            },
            5,
            "error: 1 validation error: {'msg': 'not a number'} (--temperature)\n",
        ),
        (
            400,
            {"message": "too long", "type": "invalid_request_error", "param": "seed"},
            5,
            "error: too long (--random-seed)\n",
        ),
        (400, {"message": "bad prompt", "param": "prompt"}, 5, "error: bad prompt\n"),
        (400, {"message": "bad field", "param": "body.1"}, 5, "error: bad field\n"),
        (401, {"message": "Invalid API Key"}, 4, "error: Invalid API Key\n"),
        (
            404,
            {"message": "no model `m`", "type": "NotFoundError", "param": "model"},
            5,
            "error: no model `m` (--model-id)\n",
        ),
        (429, {"message": "used up", "code": "insufficient_quota"}, 6, "error: used up"),
        (503, {"message": "Loading model", "type": "unavailable_error"}, 7, "error: Loading model"),
    ],
)
def test_an_error_has_its_message_first_and_its_parameter_as_a_flag(
    status: int, error: dict[str, Any], code: int, said: str
) -> None:
    """The exit code is that of the status, as with Writer's own APIs."""
    with Server(refusal(status, **error)) as server:
        ran = ask(server)
    assert (ran.code, ran.output) == (code, "")
    assert ran.errors.startswith(said)
    assert ran.errors.splitlines()[1].startswith(f"       HTTP {status} · ")


def test_an_error_in_json_has_what_the_engine_said() -> None:
    """The engine's `type` is `tpe`, and its message is in `errors`."""
    with Server(refusal(400, "n is 0", type="BadRequestError", param="n")) as server:
        ran = ask(server, "--json")
    error = json.loads(ran.errors)["error"]
    assert (error["kind"], error["tpe"]) == ("refused", "BadRequestError")
    assert error["errors"] == [
        {"description": "n is 0", "key": None, "extras": {"param": "n", "code": 400}}
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "no such model"}, "error: no such model\n"),
        ({"error": {}}, "error: HTTP 404 Not Found"),
        ({"detail": "Not Found"}, "error: HTTP 404 Not Found"),
    ],
)
def test_a_404_has_a_hint_that_fits_an_engine(body: dict[str, Any], said: str) -> None:
    """The hint for 404 is to list the server's models, whatever the error's body."""
    with Server(http(404, body)) as server:
        ran = ask(server)
    assert ran.code == 5
    assert ran.errors.startswith(said)
    assert ran.errors.endswith(
        "hint: `writer models` lists the models of this server: name one of them with -m; "
        "if that fails too, `writer config check` shows the base URL\n"
    )


def test_a_server_that_does_not_run_has_a_hint_that_fits_an_engine() -> None:
    """The hint for a refused connection is to check that the engine runs."""
    with Server(b"") as server:
        pass
    ran = ask(server)
    assert ran.code == 8
    assert ran.errors.endswith(
        "hint: check that the server runs at this URL: `writer config check`\n"
    )


# Messages.


@pytest.mark.parametrize(
    ("flags", "note"),
    [
        (["--max-tokens", "3"], "note: stopped at --max-tokens 3\n"),
        ([], "note: stopped at the server's own limit of tokens: --max-tokens sets another\n"),
        (["--quiet"], ""),
    ],
)
@pytest.mark.parametrize("streams", [[], ["--stream"]])
def test_a_person_is_told_of_a_text_that_stopped_at_a_limit(
    flags: list[str], note: str, streams: list[str]
) -> None:
    """A text that stopped at `max_tokens` causes a note on a terminal only."""
    whole = answer(choice("x", finish_reason="length"))
    with Server(streamed(whole) if streams else http(200, whole)) as server:
        shown = ask(server, *flags, *streams, stderr_is_terminal=True)
        assert ask(server, *flags, *streams) == Ran(0, "x\n", "")
    assert (shown.code, shown.output) == (0, "x\n")
    assert shown.errors.replace("\r", "").endswith(note)
    assert ("note:" in shown.errors) is (note != "")


def test_verbose_says_how_many_tokens() -> None:
    """`--verbose` prints the token counts of the engine."""
    with Server(http(200, answer(choice("x"), usage=USAGE))) as server:
        ran = ask(server, "--verbose")
    assert ran.errors.endswith("tokens: 2 in, 3 out\n")


def test_a_batch_keeps_reasons_and_usage_and_adds_the_tokens_up(tmp_path: Path) -> None:
    """Results have finish reason and usage; both summaries have the sum of the tokens."""
    prompts, output = tmp_path / "prompts.txt", tmp_path / "out.jsonl"
    prompts.write_text("a\nb\nc\n")
    counted = answer(choice("x", finish_reason="stop"), usage=USAGE)
    scripts = [http(200, counted), http(200, counted), http(200, answer(choice("y")))]
    command = ["batch", str(prompts), "-o", str(output), "-m", "m", "--concurrency", "1"]
    with Server(*scripts, *scripts) as server:
        env = {"WRITER_API": "openai", "WRITER_BASE_URL": server.url}
        shown = run(*command, env=env)
        lines = [json.loads(line) for line in output.read_text().splitlines()]
        output.unlink()
        summary = json.loads(run(*command, "--json", env=env).output)
    assert "tokens: 4 in, 6 out" in shown.errors.splitlines()
    assert [line["choices"][0]["finish_reason"] for line in lines] == ["stop", "stop", None]
    assert [line["usage"] for line in lines] == [USAGE, USAGE, None]
    assert summary["this_run"]["usage"] == {name: 2 * n for name, n in USAGE.items()}
