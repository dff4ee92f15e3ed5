import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import writer_cli as writer
from tests.harness.servers import Server, completion, http
from writer_cli.apis.dialect import Call

KEY = "a-key-of-the-tests"
REQUEST = writer.CompletionRequest(prompt="p")

# The two examples of the SDK's reference, without `import writer`.
# ruff: noqa: E501 - the examples have a long line

CREATE = """\
s = writer.Writer(
    api_key="<YOUR_API_KEY_HERE>",
    organization_id=486589,
)


res = s.completions.create(completion_request=writer.CompletionRequest(
    prompt='<value>',
    best_of=1,
    max_tokens=1024,
    min_tokens=1,
    stop=[
        'the',
        'is',
        'and',
    ],
    temperature=0.7,
    top_p=1,
), model_id='<value>', organization_id=489382)

if res.completion_response is not None:
    # handle response
    pass
"""

CREATE_CUSTOMIZATION = """\
s = writer.Writer(
    api_key="<YOUR_API_KEY_HERE>",
    organization_id=919503,
)


res = s.completions.create_model_customization_completion(completion_request=writer.CompletionRequest(
    prompt='<value>',
    best_of=1,
    max_tokens=1024,
    min_tokens=1,
    stop=[
        'the',
        'is',
        'and',
    ],
    temperature=0.7,
    top_p=1,
), customization_id='<value>', model_id='<value>', organization_id=41297)

if res.completion_response is not None:
    # handle response
    pass
"""

EXAMPLE_BODY = {
    "prompt": "<value>",
    "bestOf": 1,
    "maxTokens": 1024,
    "minTokens": 1,
    "stop": ["the", "is", "and"],
    "temperature": 0.7,
    "topP": 1,
}


class ElsewhereByDefault:
    """`writer_cli` with a `Writer` whose default is a test server or the sandbox."""

    CompletionRequest = writer.CompletionRequest

    def __init__(self, **defaults: Any) -> None:
        self._defaults = defaults

    def Writer(self, **given: Any) -> writer.Writer:  # noqa: N802 - the SDK's name
        """Return a client."""
        return writer.Writer(**given, **self._defaults)


def run_example(source: str, **defaults: Any) -> Any:
    """Run an example and return its `res`."""
    names: dict[str, Any] = {"writer": ElsewhereByDefault(**defaults)}
    try:
        exec(source, names)  # noqa: S102 - the source is in this file
    finally:
        names["s"].close()
    return names["res"]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (CREATE, writer.CreateCompletionResponse),
        (CREATE_CUSTOMIZATION, writer.CreateModelCustomizationCompletionResponse),
    ],
    ids=["create", "create_model_customization_completion"],
)
def test_an_example_of_the_reference_runs_unchanged(
    source: str, kind: type[writer.CreateCompletionResponse]
) -> None:
    """In the sandbox the example gets the documented response."""
    res = run_example(source, sandbox=True)
    assert type(res) is kind
    assert (res.status_code, res.content_type) == (200, "application/json")
    assert res.completion_response is not None
    [choice] = res.completion_response.choices
    assert choice.logprobs is None


@pytest.mark.parametrize(
    ("source", "path"),
    [
        (CREATE, "/llm/organization/489382/model/%3Cvalue%3E/completions"),
        (
            CREATE_CUSTOMIZATION,
            "/llm/organization/41297/model/%3Cvalue%3E/customization/%3Cvalue%3E/completions",
        ),
    ],
    ids=["create", "create_model_customization_completion"],
)
def test_an_example_of_the_reference_sends_the_documented_request(source: str, path: str) -> None:
    """The organization of the call is used, and the body has the API's field names."""
    with Server(completion("once")) as server:
        res = run_example(source, base_url=server.url)
    [request] = server.requests
    assert (request.method, request.target) == ("POST", path)
    assert request.json() == EXAMPLE_BODY
    assert request.headers["authorization"] == "Bearer <YOUR_API_KEY_HERE>"
    assert [choice.text for choice in res.completion_response.choices] == ["once"]


@pytest.fixture
def client() -> Iterator[Callable[..., writer.Writer]]:
    """Return a function that makes clients; they are closed after the test."""
    clients: list[writer.Writer] = []

    def make(**options: Any) -> writer.Writer:
        defaults: dict[str, Any] = {"api_key": KEY, "organization_id": 1, "max_retries": 0}
        clients.append(writer.Writer(**defaults | options))
        return clients[-1]

    yield make
    for made in clients:
        made.close()


Client = Callable[..., writer.Writer]


def test_every_field_of_the_enterprise_api_reaches_the_wire(client: Client) -> None:
    """Each field is sent under its name in the API's description."""
    request = writer.CompletionRequest(
        prompt="p",
        max_tokens=10,
        min_tokens=2,
        temperature=0.5,
        top_p=0.25,
        stop=["a"],
        presence_penalty=0.125,
        frequency_penalty=-0.5,
        best_of=3,
        n=2,
        logprobs=4,
    )
    assert {*writer.CompletionRequest.model_fields} - {*request.set_fields()} == {"random_seed"}
    with Server(completion("x", "y")) as server:
        client(base_url=server.url).completions.create(completion_request=request, model_id="m")
    assert server.requests[0].json() == {
        "prompt": "p",
        "maxTokens": 10,
        "minTokens": 2,
        "temperature": 0.5,
        "topP": 0.25,
        "stop": ["a"],
        "presencePenalty": 0.125,
        "frequencyPenalty": -0.5,
        "bestOf": 3,
        "n": 2,
        "logprobs": 4,
    }


def test_fields_that_are_not_set_are_left_out(client: Client) -> None:
    """A field that is not set is not sent, so that the API's default holds; zero is sent."""
    request = writer.CompletionRequest(prompt="p", temperature=0, min_tokens=0, top_p=None)
    with Server(completion("x")) as server:
        client(base_url=server.url).completions.create(completion_request=request, model_id="m")
    assert server.requests[0].json() == {"prompt": "p", "temperature": 0, "minTokens": 0}


def test_the_organization_of_a_call_overrides_that_of_the_client(client: Client) -> None:
    """The organization of a call, zero included, holds for that call only."""
    with Server(completion("x")) as server:
        completions = client(organization_id=7, base_url=server.url).completions
        for organization_id in (None, 8, 0, None):
            completions.create(
                completion_request=REQUEST, model_id="m", organization_id=organization_id
            )
    asked = [request.target.split("/")[3] for request in server.requests]
    assert asked == ["7", "8", "0", "7"]


def test_no_organization_at_all_says_where_to_put_it(client: Client) -> None:
    """The error says how to set the organization, and nothing is sent."""
    with Server(completion("x")) as server, pytest.raises(writer.ConfigurationError) as caught:
        client(organization_id=None, base_url=server.url).completions.create(
            completion_request=REQUEST, model_id="m"
        )
    assert caught.value.hint == (
        "set it with `writer config set organization_id 123`, or with WRITER_ORGANIZATION_ID=123 "
        "or --organization-id 123; in Python, Writer(organization_id=123)"
    )
    assert server.connections == 0


def test_a_response_has_every_field(client: Client) -> None:
    """A response has every field, and both values of a header that came twice."""
    body = {
        "choices": [
            {
                "text": "ab",
                "logprobs": {
                    "tokens": ["a", "b"],
                    "tokenLogprobs": [-0.5, None],
                    "topLogprobs": [{"a": "-0.5", "c": -1}, None],
                    "textOffset": [0, 1],
                },
            },
            {"text": "", "logprobs": None, "new": {}},
        ],
        "new": 1,
    }
    headers = [("Action-Id", "a-1"), ("X-Twice", "1"), ("X-Twice", "2")]
    with Server(http(201, body, headers=headers)) as server:
        response = client(base_url=server.url).completions.create(
            completion_request=REQUEST, model_id="m"
        )
    assert response.completion_response is not None
    assert response.completion_response.model_dump() == {
        "choices": [
            {
                "text": "ab",
                "logprobs": {
                    "tokens": ["a", "b"],
                    "token_logprobs": [-0.5, None],
                    "top_logprobs": [{"a": -0.5, "c": -1.0}, None],
                    "text_offset": [0, 1],
                },
                "finish_reason": None,
            },
            {"text": "", "logprobs": None, "finish_reason": None},
        ],
        "usage": None,
    }
    assert response.usage is None
    assert response.status_code == 201
    assert response.content_type == "application/json"
    assert response.action_id == "a-1"
    assert response.headers["x-twice"] == ["1", "2"]
    assert response.raw_response.json() == body
    assert response.attempts == 1
    assert 0 < response.elapsed_s < 60


FAIL = {"tpe": "T", "errors": [{"description": "d", "key": "k", "extras": [1]}], "extras": {}}


def caught(client: Client, script: bytes) -> writer.SDKError:
    """Return the error that an answer causes."""
    with Server(script) as server, pytest.raises(writer.SDKError) as info:
        client(base_url=server.url).completions.create(completion_request=REQUEST, model_id="m")
    assert len({request.raw for request in server.requests}) == 1
    return info.value


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_documented_status_with_json_raises_a_fail_response(client: Client, status: int) -> None:
    """The `FailResponse` has everything that the server sent."""
    error = caught(client, http(status, FAIL, headers=[("Action-Id", "a-1")]))
    assert isinstance(error, writer.FailResponse)
    assert (error.tpe, error.extras) == ("T", {})
    assert error.errors == [writer.FailMessage("d", "k", [1])]
    assert (error.status_code, error.action_id, str(error)) == (status, "a-1", "d")
    assert json.loads(error.body) == FAIL
    assert error.raw_response is not None
    assert error.raw_response.status_code == status


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_documented_status_with_another_content_type_raises_an_sdk_error(
    client: Client, status: int
) -> None:
    """The message of an HTML page is its status and its first words."""
    error = caught(client, http(status, b"<p>Sorry</p>", "text/html"))
    assert type(error) is writer.SDKError
    assert (error.status_code, error.body) == (status, "<p>Sorry</p>")
    assert str(error).endswith(": Sorry")


@pytest.mark.parametrize("status", [402, 405, 406, 410, 418, 422, 451, 499])
def test_another_status_raises_an_sdk_error(client: Client, status: int) -> None:
    """Another status is an `SDKError`, unless the body has the documented shape."""
    assert type(caught(client, http(status, {"detail": "x"}))) is writer.SDKError


def test_a_failing_server_raises_what_it_sent() -> None:
    """500 with JSON is a `FailResponse`, and a gateway's page is an `SDKError`."""
    for script, kind in (
        (http(500, FAIL), writer.FailResponse),
        (http(502, b"<p>Bad gateway</p>", "text/html"), writer.SDKError),
        (http(599, b""), writer.SDKError),
    ):
        with (
            Server(script) as server,
            writer.Writer(KEY, 1, base_url=server.url, max_retries=0) as client,
            pytest.raises(writer.SDKError) as info,
        ):
            client.completions.create(completion_request=REQUEST, model_id="m")
        assert type(info.value) is kind


# The key.


def sent_authorization(**options: Any) -> str:
    """Return the `Authorization` header that a client sends."""
    with (
        Server(completion("x")) as server,
        writer.Writer(organization_id=1, base_url=server.url, **options) as client,
    ):
        client.completions.create(completion_request=REQUEST, model_id="m")
    return server.requests[0].headers["authorization"]


def test_a_key_is_sent_as_its_scheme_says() -> None:
    """The key is sent with its scheme; a `Bearer ` that was pasted with it is dropped."""
    assert sent_authorization(api_key="k") == "Bearer k"
    assert sent_authorization(api_key="Bearer k") == "Bearer k"
    assert sent_authorization(api_key="k", auth_scheme="raw") == "k"
    assert sent_authorization(api_key="Bearer k", auth_scheme="raw") == "k"


def test_a_key_may_come_from_the_environment_or_a_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key that is given comes before the environment variable."""
    monkeypatch.setenv("WRITER_API_KEY", "from-the-environment")
    assert sent_authorization() == "Bearer from-the-environment"
    assert sent_authorization(api_key="given") == "Bearer given"
    assert sent_authorization(api_key=lambda: "made") == "Bearer made"


@pytest.mark.parametrize("key", [None, "", lambda: None, lambda: ""])
def test_without_a_key_nothing_is_sent(key: Any) -> None:
    """The error says how to set a key."""
    with (
        Server(completion("x")) as server,
        writer.Writer(key, 1, base_url=server.url) as client,
        pytest.raises(writer.ConfigurationError, match=r"^no API key$"),
    ):
        client.completions.create(completion_request=REQUEST, model_id="m")
    assert server.connections == 0


def test_a_missing_key_is_reported_first() -> None:
    """If key and organization are missing, the error is about the key."""
    with writer.Writer() as client, pytest.raises(writer.ConfigurationError, match="API key"):
        client.completions.create(completion_request=REQUEST, model_id="m")


def test_a_request_can_be_prepared_without_a_key() -> None:
    """The prepared request is that of `create`, with a variable in the place of the key."""
    with writer.Writer(organization_id=1) as client:
        prepared = client.completions.prepare(completion_request=REQUEST, model_id="m")
        custom = client.completions.prepare(
            completion_request=REQUEST, model_id="m", customization_id="c", organization_id=2
        )
    base = "https://enterprise-api.writer.com/llm/organization"
    assert (prepared.method, prepared.body) == ("POST", {"prompt": "p"})
    assert prepared.url == f"{base}/1/model/m/completions"
    assert custom.url == f"{base}/2/model/m/customization/c/completions"
    assert prepared.headers.keys() == {"Accept", "User-Agent", "Content-Type", "Authorization"}
    assert prepared.headers["Authorization"] == "Bearer $WRITER_API_KEY"


def test_a_call_without_a_body_has_no_content_type(client: Client) -> None:
    """A GET request has no `Content-Type`."""
    prepared = client().connection.prepare(Call(method="GET", path="/list"))
    assert (prepared.method, prepared.body) == ("GET", None)
    assert prepared.url == "https://enterprise-api.writer.com/list"
    assert prepared.headers.keys() == {"Accept", "User-Agent", "Authorization"}


def test_the_prepared_request_is_the_one_that_is_sent() -> None:
    """The prepared request is the one that is sent, but for the key and connection headers."""
    with Server(completion("x")) as server, writer.Writer(KEY, 1, base_url=server.url) as client:
        prepared = client.completions.prepare(completion_request=REQUEST, model_id="m")
        client.completions.create(completion_request=REQUEST, model_id="m")
    [request] = server.requests
    assert prepared.url == server.url + request.target
    assert prepared.body == request.json()
    assert request.headers["authorization"] == f"Bearer {KEY}"
    sent = request.headers | {"authorization": "Bearer $WRITER_API_KEY"}
    assert {name.lower(): value for name, value in prepared.headers.items()}.items() <= sent.items()


# The client.


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "Writer(https://enterprise-api.writer.com, organization_id=1)"),
        ({"base_url": "http://[::1]:8000/"}, "Writer(http://[::1]:8000, organization_id=1)"),
        ({"sandbox": True}, "Writer(sandbox, organization_id=1)"),
        ({"sandbox": True, "organization_id": 5}, "Writer(sandbox, organization_id=5)"),
    ],
)
def test_a_client_shows_where_it_asks(client: Client, options: Any, shown: str) -> None:
    """The repr of a client has the base URL and not the key."""
    assert repr(client(**options)) == shown


def test_the_sandbox_needs_neither_key_nor_organization() -> None:
    """The sandbox works without a key and without an organization."""
    with writer.Writer(sandbox=True) as client:
        response = client.completions.create(completion_request=REQUEST, model_id="m")
    assert client.organization_id == 1
    assert response.status_code == 200


def test_plain_http_is_for_this_machine_only() -> None:
    """A client whose key would be sent unencrypted over a network is refused."""
    with pytest.raises(writer.ConfigurationError, match="over plain http"):
        writer.Writer(KEY, 1, base_url="http://writer.example")


@pytest.mark.parametrize("model_id", ["", ".", "..", "m\udcff", "m" * 70_000])
def test_an_id_that_no_address_can_carry_is_refused(client: Client, model_id: str) -> None:
    """An id that cannot be part of a URL is refused, and nothing is sent."""
    with Server(completion("x")) as server, pytest.raises(writer.UsageError):
        client(base_url=server.url).completions.create(
            completion_request=REQUEST, model_id=model_id
        )
    assert server.connections == 0


def test_an_id_is_sent_as_one_segment(client: Client) -> None:
    """An id is one segment of the path, whatever characters it has."""
    with Server(completion("x")) as server:
        client(base_url=server.url).completions.create_model_customization_completion(
            completion_request=REQUEST, model_id="pal/my ra?", customization_id="%2e#\u00e9"
        )
    assert server.requests[0].target == (
        "/llm/organization/1/model/pal%2Fmy%20ra%3F/customization/%252e%23%C3%A9/completions"
    )


def test_the_first_calls_may_come_from_many_threads_at_once() -> None:
    """Many threads may make the first call of a client at the same time."""
    program = (
        "import threading, writer_cli as w\n"
        "s, start, texts = w.Writer(sandbox=True), threading.Barrier(16), []\n"
        "def ask():\n"
        "    start.wait()\n"
        "    request = w.CompletionRequest(prompt='The sea was', max_tokens=3)\n"
        "    answer = s.completions.create(completion_request=request, model_id='m')\n"
        "    texts.append(answer.completion_response.choices[0].text)\n"
        "threads = [threading.Thread(target=ask) for _ in range(16)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "print(len(texts), len(set(texts)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("16 1\n", "")
