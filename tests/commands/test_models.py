import json
from pathlib import Path
from typing import Any

import pytest

import writer_cli as writer
from tests.harness.program import Ran
from tests.harness.program import writer as run
from tests.harness.servers import Script, Server, http

KEY = "kW8-secret"
ENTERPRISE = http(
    200,
    {
        "data": [
            {"id": "palmyra-x5", "name": "Palmyra X5", "type": "GPT"},
            {"id": "ours", "name": "Our\town\n", "type": "Instruct", "extra": 1},
        ]
    },
)
STUDIO = http(200, {"models": [{"id": "palmyra-x5", "name": "Palmyra X5"}]})
CUSTOMIZATIONS = http(
    200,
    {
        "customizations": [
            {"id": "c1", "name": "Tales", "status": "completed", "baseModelId": "m"},
            {"id": "c2", "name": "Ads", "description": "for shops"},
        ]
    },
)


def ask(server: Server, *arguments: str, **terminal: Any) -> Ran:
    """Run the program against a server."""
    env = {
        "WRITER_API_KEY": KEY,
        "WRITER_ORGANIZATION_ID": "7",
        "WRITER_BASE_URL": server.url,
        "WRITER_MAX_RETRIES": "0",
    }
    return run(*arguments, env=env, **terminal)


def test_models_in_a_pipe_are_tab_separated() -> None:
    """One model a line, without headings; tabs and line breaks in a name become spaces."""
    with Server(ENTERPRISE) as server:
        assert ask(server, "models") == Ran(
            0, "palmyra-x5\tPalmyra X5\tGPT\nours\tOur own\tInstruct\n", ""
        )
    [request] = server.requests
    assert (request.method, request.target) == ("GET", "/llm/organization/7/model")
    assert request.body == b""
    assert "content-type" not in request.headers
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_models_of_the_studio_api_have_no_type() -> None:
    """The column of the type is empty, since the studio API sends none."""
    with Server(STUDIO) as server:
        assert ask(server, "models", "--api", "studio") == Ran(0, "palmyra-x5\tPalmyra X5\t\n", "")
    assert server.requests[0].target == "/v1/models"


def test_models_on_a_terminal_are_a_table() -> None:
    """The table has headings, and control characters are shown as text."""
    evil = http(200, {"data": [{"id": "m\x1b[31m", "name": "[bold]N[/x] :smile:", "type": "GPT"}]})
    with Server(evil) as server:
        ran = ask(server, "models", stdout_is_terminal=True)
    assert ran.code == 0
    heading, row = ran.output.splitlines()
    assert [word for word in ("id", "name", "type") if word not in heading] == []
    assert "m\u241b[31m" in row
    assert "[bold]N[/x] :smile:" in row
    assert "\x1b[31m" not in ran.output


def test_models_as_json_have_every_field() -> None:
    """The models are in one JSON object with a version."""
    with Server(ENTERPRISE) as server:
        ran = ask(server, "models", "--json")
    assert (ran.code, ran.errors) == (0, "")
    assert json.loads(ran.output) == {
        "version": 1,
        "models": [
            {"id": "palmyra-x5", "name": "Palmyra X5", "type": "GPT"},
            {"id": "ours", "name": "Our\town\n", "type": "Instruct"},
        ],
    }


def test_no_models_are_no_lines() -> None:
    """An empty list prints nothing."""
    with Server(http(200, {"data": []})) as server:
        assert ask(server, "models") == Ran(0, "", "")


@pytest.mark.parametrize(
    "script",
    [
        http(200, {}),
        http(200, {"models": []}),
        http(200, {"data": None}),
        http(200, {"data": 5}),
        http(200, {"data": {"id": "m"}}),
        http(200, {"data": [5]}),
        http(200, {"data": [{"id": "m"}]}),
        http(200, {"data": [{"id": 5, "name": "m"}]}),
        http(200, []),
        http(200, b"<p>", "text/html"),
        http(200, b"{"),
    ],
)
@pytest.mark.parametrize("command", ["models", "customizations"])
def test_an_answer_that_is_not_a_list_is_a_bad_answer(script: bytes, command: str) -> None:
    """An answer that is not a list is an error and not an empty list."""
    with Server(script) as server:
        ran = ask(server, command, *(["-m", "m"] if command == "customizations" else []))
    assert (ran.code, ran.output) == (9, "")
    assert ran.errors.startswith("error: the answer ")


def test_the_library_lists_models_and_customizations() -> None:
    """The lists use the organization of the call, else that of the client."""
    with Server(ENTERPRISE, CUSTOMIZATIONS) as server:
        s = writer.Writer(KEY, 7, base_url=server.url)
        with s:
            assert [model.id for model in s.models.list(organization_id=8)] == [
                "palmyra-x5",
                "ours",
            ]
            assert [one.id for one in s.customizations.list(model_id="m/n")] == ["c1", "c2"]
    assert [request.target for request in server.requests] == [
        "/llm/organization/8/model",
        "/llm/organization/7/model/m%2Fn/customization",
    ]


def test_a_key_is_needed_to_list() -> None:
    """A missing key and a missing organization are reported at once."""
    for command in (["models"], ["customizations", "-m", "m"]):
        ran = run(*command)
        assert (ran.code, ran.errors.splitlines()[0]) == (
            3,
            "error: no API key and no organization",
        )


# Customizations.


def test_customizations_in_a_pipe_are_tab_separated() -> None:
    """The customizations are those of the model that is given."""
    with Server(CUSTOMIZATIONS) as server:
        ran = ask(server, "customizations", "-m", "m")
    assert ran == Ran(0, "c1\tTales\tcompleted\nc2\tAds\t\n", "")
    [request] = server.requests
    assert (request.method, request.target) == ("GET", "/llm/organization/7/model/m/customization")


def test_customizations_as_json_have_every_field() -> None:
    """The JSON object has a version and the model."""
    with Server(CUSTOMIZATIONS) as server:
        ran = ask(server, "customizations", "-m", "m", "--json")
    assert json.loads(ran.output) == {
        "version": 1,
        "model_id": "m",
        "customizations": [
            {"id": "c1", "name": "Tales", "status": "completed", "description": None},
            {"id": "c2", "name": "Ads", "status": None, "description": "for shops"},
        ],
    }


def test_customizations_on_a_terminal_are_a_table() -> None:
    """On a terminal the table has headings."""
    ran = run("customizations", "--sandbox", stdout_is_terminal=True, env={"TERM": "dumb"})
    lines = [line.rstrip() for line in ran.output.splitlines()]
    assert ran.code == 0
    assert [line.split() for line in lines] == [
        ["id", "name", "status"],
        ["tales", "tales", "completed"],
        ["product-copy", "product", "copy", "completed"],
    ]


def test_customizations_are_of_a_model() -> None:
    """`writer customizations` needs a model."""
    with Server(CUSTOMIZATIONS) as server:
        ran = ask(server, "customizations")
    assert ran.code == 2
    assert ran.errors.startswith("error: no model: name one with -m\n")


def test_the_sandbox_lists_its_models() -> None:
    """The sandbox has lists in both dialects."""
    assert run("models", "--sandbox") == Ran(
        0,
        "palmyra-x5\tPalmyra X5\tGPT\npalmyra-x4\tPalmyra X4\tGPT\n"
        "sandbox\tThe embedded model\tGPT\n",
        "",
    )
    assert run("models", "--sandbox", "--api", "studio").output.splitlines()[-1] == (
        "sandbox\tThe embedded model\t"
    )


# Mistyped ids.

NOT_FOUND = http(404, {"tpe": "NotFound", "errors": [{"description": "no such model"}]})


def complete(server: Server, model_id: str, *arguments: str) -> Ran:
    """Run a completion with this model."""
    return ask(server, "complete", "-m", model_id, "p", *arguments)


def listed(*ids: str) -> Script:
    """Write an answer that lists these models."""
    return http(200, {"data": [{"id": name, "name": name} for name in ids]})


@pytest.mark.parametrize("flags", [[], ["--stream"]])
def test_a_mistyped_model_is_compared_with_the_last_list(flags: list[str]) -> None:
    """The hint has the nearest id of the last list, and no further request is sent."""
    with Server(ENTERPRISE, NOT_FOUND) as server:
        assert ask(server, "models").code == 0
        ran = complete(server, "palmyra-5", *flags)
        assert len(server.requests) == 2
    assert ran.code == 5
    assert ran.errors.splitlines()[-1].startswith("hint: did you mean -m palmyra-x5? check ")


def test_without_a_list_nothing_is_suggested() -> None:
    """Without a stored list no id is suggested, and none is fetched."""
    with Server(NOT_FOUND) as server:
        ran = complete(server, "palmyra-5")
    assert "did you mean" not in ran.errors
    assert len(server.requests) == 1


@pytest.mark.parametrize("model_id", ["palmyra-x5", "gpt"])
def test_a_model_that_is_listed_or_like_none_is_not_mistyped(model_id: str) -> None:
    """An id that is in the list, or is like no other, causes no suggestion."""
    with Server(ENTERPRISE, NOT_FOUND) as server:
        ask(server, "models")
        assert "did you mean" not in complete(server, model_id).errors


def test_only_404_causes_a_suggestion() -> None:
    """Only 404 causes a suggestion."""
    with Server(ENTERPRISE, http(400, b"{}")) as server:
        ask(server, "models")
        assert "did you mean" not in complete(server, "palmyra-5").errors


def test_each_api_has_a_list_of_its_own() -> None:
    """The list of one API is not used for another."""
    with Server(ENTERPRISE, NOT_FOUND) as server:
        ask(server, "models")
        assert "did you mean" not in complete(server, "palmyra-5", "--api", "studio").errors


def test_the_list_of_the_sandbox_is_not_kept() -> None:
    """The models of the sandbox are not stored."""
    assert run("models", "--sandbox").code == 0
    with Server(NOT_FOUND) as server:
        assert "did you mean" not in complete(server, "palmyra-5").errors


def test_an_id_that_a_shell_would_act_on_is_quoted() -> None:
    """A suggested id is quoted for the shell."""
    with Server(listed("m; rm -rf ~\x1b"), NOT_FOUND) as server:
        ask(server, "models")
        ran = complete(server, "m; rm -rf")
    assert "did you mean -m 'm; rm -rf ~\u241b'? " in ran.errors


def path_of_list(home: Path) -> Path:
    """Return the path of the stored list."""
    [file] = home.rglob("models-enterprise.json")
    return file


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"5", b"null", b"[5, null, []]", b'{"palmyra-x5": 1}', b"\xff", b"[" * 100_000],
)
def test_a_damaged_list_is_ignored(content: bytes, isolated_home: Path) -> None:
    """A damaged list is ignored."""
    with Server(ENTERPRISE, NOT_FOUND) as server:
        ask(server, "models")
        path_of_list(isolated_home).write_bytes(content)
        ran = complete(server, "palmyra-5")
    assert ran.code == 5
    assert "bug" not in ran.errors


def test_a_list_that_cannot_be_kept_is_no_failure(isolated_home: Path) -> None:
    """If the list cannot be stored, the models are printed all the same."""
    (isolated_home / ".cache").write_text("no directory")
    with Server(ENTERPRISE, NOT_FOUND) as server:
        assert ask(server, "models").code == 0
        assert complete(server, "palmyra-5").code == 5


def test_a_huge_list_is_not_read_back() -> None:
    """A huge list is not read, which would delay every error."""
    with Server(listed(*(f"palmyra-{n:0100}" for n in range(12_000))), NOT_FOUND) as server:
        assert ask(server, "models").code == 0
        assert "did you mean" not in complete(server, f"palmyra-{0:099}").errors


# Retired models.


@pytest.mark.parametrize(
    "model_id",
    [
        "palmyra-x-003-instruct",
        "palmyra-vision",
        "palmyra-med",
        "palmyra-fin",
        "palmyra-creative",
    ],
)
def test_a_removed_model_is_asked_with_a_warning(model_id: str) -> None:
    """The warning has the date of the removal and the successor."""
    ran = run("complete", "--sandbox", "-m", model_id, "p")
    assert ran.code == 0
    assert ran.errors == (
        f"warning: {model_id} was removed on 2026-07-13; Writer recommends palmyra-x5 instead\n"
    )
    assert run("complete", "--sandbox", "-m", model_id, "p", "--quiet").errors == ""


@pytest.mark.parametrize("model_id", ["palmyra-x5", "palmyra-x4", "palmyra-x", "our-own"])
def test_an_unknown_model_is_asked_without_a_warning(model_id: str) -> None:
    """An unknown model may be an organization's own."""
    assert run("complete", "--sandbox", "-m", model_id, "p").errors == ""
