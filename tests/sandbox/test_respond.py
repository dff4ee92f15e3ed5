import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import writer_cli as writer
from writer_cli.sandbox.messages import Request, Response
from writer_cli.sandbox.respond import Sandbox

PATH = "/llm/organization/1/model/palmyra-x5/completions"
CUSTOM_PATH = "/llm/organization/1/model/palmyra-x5/customization/c/completions"
KEY = {"authorization": "Bearer k"}


def post(body: Any, path: str = PATH, headers: dict[str, str] = KEY) -> Response:
    """Send a body, JSON unless it is bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Sandbox().respond(Request("POST", path, headers, raw))


def texts(**fields: Any) -> list[str]:
    """Return the texts that continue "The" for these fields of the request."""
    response = post({"prompt": "The", **fields})
    assert response.status == 200, response.body
    return [choice["text"] for choice in json.loads(response.body)["choices"]]


def failure(response: Response) -> tuple[int, str, str, str]:
    """Return status, tpe, key and description of a failure with one message."""
    body = json.loads(response.body)
    [message] = body["errors"]
    assert body == {"tpe": body["tpe"], "errors": [message], "extras": {}}
    assert message == message | {"extras": {}}
    return response.status, body["tpe"], message["key"], message["description"]


def invalid(description: str) -> tuple[int, str, str, str]:
    """Return what a bad request gets."""
    return 400, "BadRequest", "fail.badRequest.invalidParameters", description


def test_a_prompt_is_enough() -> None:
    """The answer has one choice, which has a text and nothing else."""
    body = json.loads(post({"prompt": "The"}).body)
    assert body == {"choices": [{"text": body["choices"][0]["text"]}]}
    assert body["choices"][0]["text"]


@pytest.mark.parametrize("path", [PATH, CUSTOM_PATH])
def test_the_same_request_gets_the_same_answer(path: str) -> None:
    """The sandbox is deterministic: equal requests get equal answers."""
    assert post({"prompt": "The"}, path) == post({"prompt": "The"}, path)


def test_another_request_gets_another_answer() -> None:
    """A different model, customization or field gives a different answer."""
    asked = [
        post({"prompt": "The"}),
        post({"prompt": "The"}, PATH.replace("x5", "x4")),
        post({"prompt": "The"}, CUSTOM_PATH),
        post({"prompt": "The", "temperature": 0.71}),
    ]
    assert len({response.body for response in asked}) == len(asked)
    assert len({response.headers["action-id"] for response in asked}) == len(asked)


WRONG_TYPES = {
    "prompt": (5, "a string"),
    "minTokens": ("5", "an integer"),
    "maxTokens": (1.5, "an integer"),
    "temperature": ("hot", "a number"),
    "topP": ([], "a number"),
    "stop": ("the", "an array of strings"),
    "presencePenalty": (True, "a number"),
    "frequencyPenalty": ({}, "a number"),
    "bestOf": (True, "an integer"),
    "logprobs": (2**63, "an integer"),
    "n": (1e2, "an integer"),
}


@pytest.mark.parametrize(("field", "value", "kind"), [(f, *v) for f, v in WRONG_TYPES.items()])
def test_a_wrong_type_is_named_with_its_field(field: str, value: Any, kind: str) -> None:
    """The error for a wrong type names the field and the expected type."""
    assert failure(post({"prompt": "The", field: value})) == invalid(f"{field}: not {kind}")


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999", b"1" + b"0" * 400])
def test_a_number_that_overflows_a_float_is_refused(number: bytes) -> None:
    """A number that is too large for a float is refused, however it is written."""
    response = post(b'{"prompt": "The", "temperature": %b}' % number)
    assert failure(response) == invalid("temperature: not a number")


@pytest.mark.parametrize(
    ("fields", "description"),
    [
        ({"minTokens": -1}, "minTokens: -1 is not in the range 0 to 8192"),
        ({"minTokens": 8193}, "minTokens: 8193 is not in the range 0 to 8192"),
        ({"maxTokens": 0}, "maxTokens: 0 is not in the range 1 to inf"),
        ({"temperature": -0.5}, "temperature: -0.5 is not in the range 0 to inf"),
        ({"topP": 1.5}, "topP: 1.5 is not in the range 0 to 1"),
        ({"bestOf": 65}, "bestOf: 65 is not in the range 1 to 64"),
        ({"logprobs": -1}, "logprobs: -1 is not in the range 0 to 100"),
        ({"n": 0}, "n: 0 is not in the range 1 to 64"),
        ({"minTokens": 5, "maxTokens": 4}, "minTokens: more than maxTokens"),
        ({"bestOf": 2, "n": 3}, "bestOf: less than n"),
        ({"stop": ["a", ""]}, "stop: a stop sequence is empty"),
        ({"prompt": ""}, "prompt: required"),
        ({"prompt": None}, "prompt: required"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_field(
    fields: dict[str, Any], description: str
) -> None:
    """The error for a value out of range names the field and the range."""
    assert failure(post({"prompt": "The"} | fields)) == invalid(description)


@pytest.mark.parametrize("field", ["presencePenalty", "frequencyPenalty"])
@pytest.mark.parametrize("penalty", [-1e308, 1e308])
def test_a_penalty_that_overflows_is_refused(field: str, penalty: float) -> None:
    """A penalty that would become infinite is refused."""
    status, _, _, description = failure(post({"prompt": "The", field: penalty}))
    assert (status, description.partition(":")[0]) == (400, field)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 5000])
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    """A body that is not valid JSON is refused."""
    assert failure(post(body)) == invalid("the body is not JSON")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"The"', b"5"])
def test_a_body_that_is_not_an_object_is_refused(body: bytes) -> None:
    """A body that is JSON but not an object is refused."""
    assert failure(post(body)) == invalid("the body is not a JSON object")


@pytest.mark.parametrize("organization", ["acme", "1.5", "%20", "99999999999999999999", "1%2F2"])
def test_an_organization_id_is_an_integer(organization: str) -> None:
    """The organization id in the path must be an integer, as in the API's description."""
    path = PATH.replace("/1/", f"/{organization}/")
    assert failure(post({"prompt": "The"}, path)) == invalid("organizationId: not an integer")


@pytest.mark.parametrize("headers", [{}, {"authorization": ""}])
def test_a_request_without_a_key_is_unauthorized(headers: dict[str, str]) -> None:
    """A request without a key gets 401 from the sandbox too."""
    assert failure(post({"prompt": "The"}, headers=headers)) == (
        401,
        "Unauthorized",
        "fail.unauthorized.badToken",
        "no Authorization header",
    )


def test_a_query_string_is_ignored() -> None:
    """A query string, as a gateway may add one, is ignored."""
    body = {"prompt": "The"}
    assert post(body, PATH + "?a=b").body == post(body).body


@pytest.mark.parametrize(
    "path", ["/", "/v1/none", PATH + "/", PATH + "/?a=b", PATH.replace("model", "models"), PATH[1:]]
)
def test_another_path_is_not_found(path: str) -> None:
    """An unknown path gets 404, and the description names it."""
    assert failure(post({"prompt": "The"}, path)) == (
        404,
        "NotFound",
        "fail.notFound.resource",
        f"there is nothing at {path}",
    )


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_another_method_is_not_allowed(method: str) -> None:
    """A method other than POST gets 405."""
    assert failure(Sandbox().respond(Request(method, PATH, KEY))) == (
        405,
        "MethodNotAllowed",
        "fail.badRequest.invalidParameters",
        "use POST here",
    )


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        (PATH, KEY, {"prompt": "The"}, 200),
        (PATH, KEY, {}, 400),
        (PATH, {}, {}, 401),
        ("/", KEY, {}, 404),
    ],
)
def test_every_answer_is_json_with_an_action_id(
    path: str, headers: dict[str, str], body: Any, status: int
) -> None:
    """Every answer, errors too, is JSON and has an Action-Id."""
    response = post(body, path, headers)
    assert response.status == status
    assert response.headers.keys() == {"content-type", "action-id"}
    assert response.headers["content-type"] == "application/json"
    assert re.fullmatch("sandbox-[0-9a-f]{16}", response.headers["action-id"])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


@settings(deadline=None, max_examples=50)
@given(
    st.fixed_dictionaries(
        {"prompt": st.text(st.characters(), min_size=1, max_size=5), "maxTokens": st.just(3)},
        optional={name: json_values for name in WRONG_TYPES if name not in {"prompt", "maxTokens"}},
    )
)
def test_any_request_is_answered(body: dict[str, Any]) -> None:
    """Any fields get a completion or an error that says what is wrong with which field."""
    response = post(body)
    if response.status != 200:
        assert failure(response)[:3] == invalid("")[:3]


def test_tokens_are_limited() -> None:
    """A completion has at most `max_tokens` tokens."""
    body = {"prompt": "The", "minTokens": 7, "maxTokens": 7, "logprobs": 0}
    [choice] = json.loads(post(body).body)["choices"]
    assert len(choice["logprobs"]["tokens"]) == 7


def test_min_tokens_alone_lift_the_default_limit() -> None:
    """A `min_tokens` above the default of `max_tokens` raises that default."""
    body = {"prompt": "The", "minTokens": 150, "logprobs": 0}
    [choice] = json.loads(post(body).body)["choices"]
    assert len(choice["logprobs"]["tokens"]) == 150


def test_temperature_zero_is_the_likeliest_text() -> None:
    """At temperature 0 all choices are the same; sampled choices differ."""
    sampled, likeliest = texts(n=5, temperature=1), texts(n=5, temperature=0)
    assert len(set(sampled)) == 5
    assert len(set(likeliest)) == 1


def test_top_p_leaves_the_likeliest() -> None:
    """With a tiny `top_p` only the likeliest token is sampled."""
    assert texts(topP=0, temperature=1) == texts(temperature=0)


def test_a_stop_sequence_ends_the_text() -> None:
    """The text ends before the stop sequence, where without it the text would go on."""
    [whole] = texts(temperature=0)
    stop = whole[20:23]
    assert texts(temperature=0, stop=["never there", stop]) == [whole.partition(stop)[0]]


@pytest.mark.parametrize("field", ["presencePenalty", "frequencyPenalty"])
def test_a_penalty_avoids_repeated_tokens(field: str) -> None:
    """With the strongest penalty no token comes twice."""
    body = {"prompt": "The", "temperature": 0, "logprobs": 0, "maxTokens": 60, "minTokens": 60}
    counts = {}
    for penalty in (-1e3, 1e3):
        [choice] = json.loads(post(body | {field: penalty}).body)["choices"]
        counts[penalty] = len(set(choice["logprobs"]["tokens"]))
    assert counts == {-1e3: 1, 1e3: 60}


def test_best_of_returns_the_likeliest() -> None:
    """The best of four choices is the one with the highest mean log probability."""
    body = {"prompt": "The", "temperature": 1, "maxTokens": 10, "logprobs": 0}

    def means(**fields: int) -> list[float]:
        choices = json.loads(post(body | fields).body)["choices"]
        lists = [choice["logprobs"]["tokenLogprobs"] for choice in choices]
        return [sum(values) / len(values) for values in lists]

    ranked = means(n=4, bestOf=20)
    assert ranked == sorted(ranked, reverse=True)
    assert len(means(bestOf=4)) == 1


def test_logprobs_run_in_parallel() -> None:
    """The tokens make the text, offsets point at them, and alternatives are sorted, best first."""
    body = {"prompt": "The", "logprobs": 3, "maxTokens": 20}
    [choice] = json.loads(post(body).body)["choices"]
    logprobs, text = choice["logprobs"], choice["text"]
    assert logprobs.keys() == {"tokens", "tokenLogprobs", "topLogprobs", "textOffset"}
    assert "".join(logprobs["tokens"]) == text
    for token, offset in zip(logprobs["tokens"], logprobs["textOffset"], strict=True):
        assert text[offset:].startswith(token)
    for logprob, top in zip(logprobs["tokenLogprobs"], logprobs["topLogprobs"], strict=True):
        values = [float(value) for value in top.values()]
        assert logprob <= 0
        assert values == sorted(values, reverse=True)
        assert len(values) <= 3


def test_every_field_is_honoured_through_the_whole_stack() -> None:
    """Every field that the library sends has its effect in the sandbox."""
    request = writer.CompletionRequest(
        prompt="The",
        max_tokens=12,
        min_tokens=4,
        temperature=0.8,
        top_p=0.9,
        stop=["zebra crossing"],
        presence_penalty=0.5,
        frequency_penalty=0.25,
        best_of=3,
        n=2,
        logprobs=2,
    )
    with writer.Writer(sandbox=True) as client:
        response = client.completions.create(completion_request=request, model_id="palmyra-x5")
    assert response.completion_response is not None
    assert response.action_id is not None
    on_the_wire = post(
        {
            "prompt": "The",
            "maxTokens": 12,
            "minTokens": 4,
            "temperature": 0.8,
            "topP": 0.9,
            "stop": ["zebra crossing"],
            "presencePenalty": 0.5,
            "frequencyPenalty": 0.25,
            "bestOf": 3,
            "n": 2,
            "logprobs": 2,
        }
    )
    choices = response.completion_response.choices
    assert [c.text for c in choices] == [c["text"] for c in json.loads(on_the_wire.body)["choices"]]
    assert len(choices) == 2
    for choice in choices:
        assert choice.logprobs is not None
        assert "".join(choice.logprobs.tokens or []) == choice.text
        assert 4 <= len(choice.logprobs.tokens or []) <= 12
        assert all(top is not None and len(top) <= 2 for top in choice.logprobs.top_logprobs or [])


def test_the_sandbox_refuses_as_the_api_does() -> None:
    """The library raises the same error for the sandbox as for the API."""
    with writer.Writer(sandbox=True) as client, pytest.raises(writer.FailResponse) as caught:
        client.completions.create(
            completion_request=writer.CompletionRequest(prompt="The", n=65), model_id="m"
        )
    assert caught.value.status_code == 400
    assert [m.description for m in caught.value.errors] == ["n: 65 is not in the range 1 to 64"]
    assert str(caught.value.action_id).startswith("sandbox-")
