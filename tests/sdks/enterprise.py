"""Writer's own `writerai`, unmodified, against `writer sandbox`. Run by `make test-sdks`."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import writer
from writer import models

STATUSES = {
    "fault-400": ("BadRequest", "fail.badRequest.invalidParameters"),
    "fault-401": ("Unauthorized", "fail.unauthorized.badToken"),
    "fault-403": ("Forbidden", "fail.forbidden.insufficientAccessRights"),
    "fault-404": ("NotFound", "fail.notFound.resource"),
    "fault-500": ("InternalServerError", "fail.internalServerError.generic"),
}
"""The faults whose statuses the SDK documents as a `FailResponse`."""


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Return an SDK client of the sandbox."""
    client = writer.Writer(
        api_key="made-up", organization_id=1, server_url=os.environ["WRITER_BASE_URL"]
    )
    yield client
    client.sdk_configuration.client.close()


def request(**fields: Any) -> Any:
    """Return a request with every field that the SDK knows."""
    defaults: dict[str, Any] = {
        "prompt": "Once upon a time",
        "best_of": 2,
        "frequency_penalty": 0.25,
        "logprobs": 2,
        "max_tokens": 12,
        "min_tokens": 3,
        "n": 2,
        "presence_penalty": 0.5,
        "stop": ["zebra"],
        "temperature": 0.7,
        "top_p": 0.9,
    }
    return models.CompletionRequest(**defaults | fields)


def ask(client: Any, operation: str, fault: str = "palmyra-x5") -> Any:
    """Call one of the two operations; the fault id is the model or the customization."""
    if operation == "create":
        return client.completions.create(completion_request=request(), model_id=fault)
    return client.completions.create_model_customization_completion(
        completion_request=request(), customization_id=fault, model_id="palmyra-x5"
    )


BOTH = pytest.mark.parametrize("operation", ["create", "create_model_customization_completion"])


@BOTH
def test_an_operation_returns_completions(client: Any, operation: str) -> None:
    """Two completions have log probabilities that run in parallel with the tokens."""
    response = ask(client, operation)
    assert response.status_code == 200
    assert response.headers["Action-Id"].startswith("sandbox-")
    choices = response.completion_response.choices
    assert len(choices) == 2
    for choice in choices:
        logprobs = choice.logprobs
        assert "".join(logprobs.tokens) == choice.text
        assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.text_offset)
        assert all(isinstance(p, str) for top in logprobs.top_logprobs for p in top.values())


@BOTH
@pytest.mark.parametrize("fault", STATUSES)
def test_a_documented_status_is_a_fail_response(client: Any, operation: str, fault: str) -> None:
    """The SDK reads `tpe`, description, key and extras from the answer."""
    with pytest.raises(models.FailResponse) as caught:
        ask(client, operation, fault)
    tpe, key = STATUSES[fault]
    error = caught.value
    assert error.raw_response.status_code == int(fault.removeprefix("fault-"))
    assert error.tpe == tpe
    assert [message.key for message in error.errors] == [key]
    assert all(message.description for message in error.errors)


@BOTH
@pytest.mark.parametrize(
    ("fault", "status"),
    [("fault-429", 429), ("fault-quota", 429), ("fault-flaky", 503), ("fault-502-html", 502)],
)
def test_any_other_status_is_an_sdk_error(
    client: Any, operation: str, fault: str, status: int
) -> None:
    """Other statuses raise `SDKError`, as the SDK documents."""
    with pytest.raises(models.SDKError) as caught:
        ask(client, operation, fault)
    assert caught.value.status_code == status
    assert caught.value.raw_response.headers["Action-Id"].startswith("sandbox-")


def test_a_wrong_field_is_named(client: Any) -> None:
    """The sandbox validates a field that the SDK does not validate."""
    with pytest.raises(models.FailResponse) as caught:
        client.completions.create(completion_request=request(max_tokens=-1), model_id="palmyra-x5")
    [message] = caught.value.errors
    assert message.description == "maxTokens: -1 is not in the range 1 to inf"


def test_the_lists_are_read(client: Any) -> None:
    """Models and customizations are read as the SDK's own objects."""
    models_ = client.models.list().generation_models_response.data
    assert "palmyra-x5" in [model.id for model in models_]
    found = client.model_customization.list(model_id="palmyra-x5").customizations_response
    assert [customization.base_model_id for customization in found.customizations] == [
        "palmyra-x5"
    ] * 2


def test_a_recorded_answer_is_replayed() -> None:
    """A recording is replayed; any other request gets a `FailResponse` that says so."""
    url = os.environ["WRITER_REPLAY_URL"]
    client = writer.Writer(api_key="made-up", organization_id=1, server_url=url)
    recorded = models.CompletionRequest(prompt="A recorded prompt", max_tokens=12, temperature=1)
    response = client.completions.create(completion_request=recorded, model_id="palmyra-x5")
    assert response.completion_response.choices[0].text == "a recorded text"
    with pytest.raises(models.FailResponse) as caught:
        client.completions.create(completion_request=request(), model_id="palmyra-x5")
    assert "is not recorded in" in caught.value.errors[0].description
    client.sdk_configuration.client.close()
