import json
from typing import Any

import pytest

import writer_cli as writer
from tests.harness.events import event, stream
from tests.harness.program import Ran
from tests.harness.program import writer as run
from tests.harness.servers import CLOSE, Script, Server, http
from writer_cli.apis.access import ApiName

KEY = "kW8-secret"
REQUEST = writer.CompletionRequest(prompt="p")
STUDIO = "a key of AI Studio needs --api studio"
ENTERPRISE = "a key that belongs to an organization needs --api enterprise"


def answered(text: str) -> bytes:
    """Write an answer of the studio API."""
    return http(200, {"choices": [{"text": text, "log_probs": None}], "model": "m"})


def ask(server: Server, *arguments: str, **settings: str) -> Ran:
    """Run the program against a server, without an organization id."""
    env = {"WRITER_API_KEY": KEY, "WRITER_BASE_URL": server.url, **settings}
    return run(*arguments, env=env)


def test_a_request_matches_the_description_of_the_api() -> None:
    """A request has one path, snake case, the model in the body, and no organization."""
    request = writer.CompletionRequest(
        prompt="p",
        max_tokens=5,
        temperature=0.5,
        top_p=0.25,
        stop=["a"],
        best_of=2,
        random_seed=-3,
    )
    with Server(answered("x")) as server:
        s = writer.Writer(KEY, api="studio", base_url=server.url)
        with s:
            response = s.completions.create(completion_request=request, model_id="a/b ?")
    [sent] = server.requests
    assert (sent.method, sent.target) == ("POST", "/v1/completions")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["accept"] == "application/json"
    assert sent.json() == {
        "model": "a/b ?",
        "prompt": "p",
        "max_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.25,
        "stop": ["a"],
        "best_of": 2,
        "random_seed": -3,
    }
    assert response.completion_response is not None
    assert response.completion_response.choices[0].text == "x"


def test_the_studio_api_has_an_address_of_its_own() -> None:
    """The default base URL of the studio API is https://api.writer.com."""
    with writer.Writer(KEY, api="studio") as s:
        prepared = s.completions.prepare(completion_request=REQUEST, model_id="m")
    assert prepared.url == "https://api.writer.com/v1/completions"


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (["--api", "studio", "complete", "-m", "m", "p"], {}),
        (["complete", "-m", "m", "p", "--api", "studio"], {}),
        (["complete", "-m", "m", "p", "--api", "studio"], {"WRITER_API": "enterprise"}),
        (["complete", "-m", "m", "p"], {"WRITER_API": "studio"}),
    ],
)
def test_the_studio_api_is_chosen_by_flag_or_variable(
    arguments: list[str], settings: dict[str, str]
) -> None:
    """`--api studio` or `WRITER_API` chooses the API, which needs no organization id."""
    with Server(answered("x")) as server:
        assert ask(server, *arguments, **settings) == Ran(0, "x\n", "")
    assert [request.target for request in server.requests] == ["/v1/completions"]


def test_the_studio_api_can_be_configured(tmp_path: Any) -> None:
    """The file or a profile in it can choose the studio API."""
    config = tmp_path / "config.toml"
    for text, flags in (
        ('api = "studio"\n', []),
        ('[profiles.s]\napi = "studio"\n', ["--profile", "s"]),
    ):
        config.write_text(text)
        config.chmod(0o600)
        with Server(answered("x")) as server:
            ran = ask(server, "complete", "-m", "m", "p", *flags, WRITER_CONFIG=str(config))
        assert ran == Ran(0, "x\n", "")
        assert server.requests[0].target == "/v1/completions"


@pytest.mark.parametrize(
    ("api", "flag", "value"),
    [
        ("studio", "--min-tokens", "1"),
        ("studio", "--n", "1"),
        ("studio", "--logprobs", "1"),
        ("studio", "--presence-penalty", "1"),
        ("studio", "--frequency-penalty", "1"),
        ("enterprise", "--random-seed", "1"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--stream"]])
def test_a_flag_that_the_api_cannot_carry_is_a_usage_error(
    api: str, flag: str, value: str, more: list[str]
) -> None:
    """The error names the flag and the API, and nothing is sent."""
    if flag == "--logprobs" and more == ["--stream"]:
        return  # it is refused for another reason
    with Server(answered("x")) as server:
        arguments = ["complete", "--api", api, "-m", "m", "p", flag, value, *more]
        ran = ask(server, *arguments, WRITER_ORG_ID="7")
    instead = "leave it out"
    if flag == "--n":
        instead = "for several texts, repeat the request with another --random-seed"
    assert ran == Ran(
        2,
        "",
        f"error: {flag} cannot be sent to the {api} API\n"
        f"hint: {instead}, or choose another API with --api; {api} is in use\n",
    )
    assert server.connections == 0


def test_a_seed_is_for_the_studio_api() -> None:
    """In the studio API the same seed gives the same text."""
    arguments = ["complete", "--sandbox", "--api", "studio", "--temperature", "2", "p"]
    one, same, other = (run(*arguments, "--random-seed", seed) for seed in ("1", "1", "2"))
    assert one == same
    assert one.code == other.code == 0
    assert one != other


@pytest.mark.parametrize(
    "command",
    [["complete-custom", "-m", "m", "--customization-id", "c", "p"], ["customizations", "-m", "m"]],
)
def test_customizations_exist_only_in_the_enterprise_api(command: list[str]) -> None:
    """The hint says how to use the enterprise API."""
    with Server(answered("x")) as server:
        ran = ask(server, *command, "--api", "studio")
    assert ran == Ran(
        2,
        "",
        "error: customizations exist only in the enterprise API, and the studio API is in use\n"
        "hint: --api enterprise, with --organization-id\n",
    )
    assert server.connections == 0


def test_the_list_of_customizations_cannot_be_read_either() -> None:
    """The list of customizations is refused too."""
    with writer.Writer(KEY, api="studio") as s, pytest.raises(writer.UsageError, match="only in"):
        s.api.read_customizations({"customizations": []})


TOKEN = {"token": "é", "logprob": -0.5, "top_logprobs": [{"token": "a", "logprob": -1.0}]}


@pytest.mark.parametrize(
    ("log_probs", "expected"),
    [
        (
            {"content": [TOKEN, {"token": "bc", "logprob": -2, "top_logprobs": []}, TOKEN]},
            {
                "tokens": ["é", "bc", "é"],
                "token_logprobs": [-0.5, -2.0, -0.5],
                "top_logprobs": [{"a": -1.0}, {}, {"a": -1.0}],
                "text_offset": [0, 1, 3],
            },
        ),
        (
            {"content": []},
            {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []},
        ),
        (None, None),
        ({}, None),
        ([], None),
        ({"content": None}, None),
        ({"content": [{"token": "a"}]}, None),
        ({"content": [{"token": 5, "logprob": -1, "top_logprobs": []}]}, None),
        ({"content": [{"token": "a", "logprob": -1, "top_logprobs": [{"token": []}]}]}, None),
        (
            {
                "content": [
                    {"token": "a", "logprob": 1, "top_logprobs": [{"token": [], "logprob": 1}]}
                ]
            },
            None,
        ),
        ("no", None),
    ],
)
def test_log_probabilities_are_read_as_those_of_the_other_api(
    log_probs: Any, expected: dict[str, Any] | None
) -> None:
    """Log probabilities of another shape are left out, and the text is kept."""
    answer = http(200, {"choices": [{"text": "x", "log_probs": log_probs}]})
    with Server(answer) as server, writer.Writer(KEY, api="studio", base_url=server.url) as s:
        response = s.completions.create(completion_request=REQUEST, model_id="m")
    assert response.completion_response is not None
    [choice] = response.completion_response.choices
    assert choice.text == "x"
    assert (choice.logprobs and choice.logprobs.model_dump()) == expected


@pytest.mark.parametrize("body", [{"choices": 5}, {"choices": [5]}, {"choices": [{}]}])
def test_an_answer_that_is_not_a_completion_is_a_bad_answer(body: dict[str, Any]) -> None:
    """An answer that is no completion ends with exit code 9."""
    with Server(http(200, body)) as server:
        ran = ask(server, "complete", "--api", "studio", "-m", "m", "p")
    assert (ran.code, ran.output) == (9, "")


def test_a_stream_begins_with_an_empty_chunk_and_ends_with_done() -> None:
    """A stream is read in the form in which the studio API sends it."""
    script = stream(event(""), event("Hel"), event("lo"), b"data: [DONE]\n\n")
    with Server(script) as server:
        ran = ask(server, "complete", "--api", "studio", "-m", "m", "p", "--stream")
    assert ran == Ran(0, "Hello\n", "")
    assert server.requests[0].json() == {"model": "m", "prompt": "p", "stream": True}


def test_an_error_of_the_studio_api_is_the_same_kind_of_error() -> None:
    """Errors have the same classes as those of the enterprise API."""
    fail = {"tpe": "BadRequest", "errors": [{"description": "no", "key": "k"}], "extras": None}
    with Server(http(400, fail)) as server:
        ran = ask(server, "complete", "--api", "studio", "-m", "m", "p", "--json")
    error = json.loads(ran.errors)["error"]
    assert (ran.code, error["tpe"], error["message"]) == (5, "BadRequest", "no")


# Hints between the two.


def hint(script: Script, api: ApiName, organization_id: int | None, *, streams: bool) -> str:
    """Return the hint of the error that an answer causes."""
    with Server(script) as server:
        s = writer.Writer(KEY, organization_id, api=api, base_url=server.url, max_retries=0)
        ask: Any = s.completions.stream if streams else s.completions.create
        with s, pytest.raises(writer.WriterError) as caught:
            list(ask(completion_request=REQUEST, model_id="m"))
    return caught.value.hint or ""


PAGES: dict[str, Script] = {
    "404": http(404, {"tpe": "NotFound", "errors": []}),
    "404 page": http(404, b"<p>", "text/html"),
    "410": http(410, b"gone", "text/plain"),
    "200 page": http(200, b"<p>", "text/html; charset=utf-8"),
    "502 page": http(502, b"<p>", "TEXT/HTML"),
    "no answer": [CLOSE],
}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("page", PAGES)
def test_a_retired_host_causes_a_hint_at_the_studio_api(page: str, *, streams: bool) -> None:
    """A page of a retired host causes a hint at `--api studio`, unless that API is in use."""
    assert hint(PAGES[page], "enterprise", 7, streams=streams).endswith(STUDIO)
    assert "--api" not in hint(PAGES[page], "studio", 7, streams=streams)


@pytest.mark.parametrize("streams", [False, True])
def test_a_401_hints_at_the_other_api(*, streams: bool) -> None:
    """The studio API hints at the enterprise API only if there is an organization id."""
    refused = http(401, b"{}")
    assert hint(refused, "studio", 7, streams=streams).endswith(f"; {ENTERPRISE}")
    assert "--api" not in hint(refused, "studio", None, streams=streams)
    assert hint(refused, "enterprise", 7, streams=streams).endswith(f"; {STUDIO}")


@pytest.mark.parametrize("status", [400, 403, 429, 500])
def test_other_answers_hint_at_no_other_api(status: int) -> None:
    """Other statuses cause no hint about another API."""
    for api in ("enterprise", "studio"):
        assert "--api" not in hint(http(status, b"{}"), api, 7, streams=False)


def test_the_command_line_shows_the_hint() -> None:
    """The hint is shown also if the organization id comes from a variable."""
    with Server(http(401, b"{}")) as server:
        arguments = ["complete", "--api", "studio", "-m", "m", "p"]
        ran = ask(server, *arguments, WRITER_ORG_ID="7")
    assert ran.code == 4
    assert ran.errors.splitlines()[-1].endswith(ENTERPRISE)


def test_the_sandbox_hints_at_no_other_api() -> None:
    """The errors of the sandbox, which has both APIs, do not hint at another API."""
    ran = run("complete", "--sandbox", "-m", "fault-404", "p")
    assert ran.code == 5
    assert "--api" not in ran.errors
