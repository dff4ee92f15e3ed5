"""Writer's own `writer-sdk`, unmodified, against `writer sandbox`. Run by `make test-sdks`."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import writerai


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Return an SDK client of the sandbox that does not retry."""
    with writerai.Writer(
        api_key="made-up", base_url=os.environ["WRITER_BASE_URL"], max_retries=0
    ) as client:
        yield client


def create(client: Any, model: str = "palmyra-x5", **fields: Any) -> Any:
    """Ask for a completion."""
    return client.completions.create(
        model=model, prompt="Once upon a time", max_tokens=12, temperature=0.7, **fields
    )


def test_create_returns_a_completion(client: Any) -> None:
    """A completion has every field of the SDK."""
    completion = create(client, best_of=2, random_seed=7, stop=["zebra", "lion"], top_p=0.9)
    assert completion.model == "palmyra-x5"
    [choice] = completion.choices
    assert choice.text
    assert choice.log_probs is None


def test_a_seed_decides_the_text(client: Any) -> None:
    """The same seed gives the same text, another seed another text."""
    texts = [create(client, random_seed=seed).choices[0].text for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_a_stream_is_the_same_text_in_pieces(client: Any) -> None:
    """The pieces make the text of the completion; the first is empty, as with the API."""
    with create(client, stream=True) as stream:
        pieces = [chunk.value for chunk in stream]
    assert pieces[0] == ""
    assert len(pieces) > 2
    assert "".join(pieces) == create(client).choices[0].text


def test_the_models_are_read(client: Any) -> None:
    """Each model has an id and a name."""
    models = {model.id: model.name for model in client.models.list().models}
    assert models["palmyra-x5"] == "Palmyra X5"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ("fault-400", "BadRequestError", 400),
        ("fault-moderation", "BadRequestError", 400),
        ("fault-401", "AuthenticationError", 401),
        ("fault-403", "PermissionDeniedError", 403),
        ("fault-404", "NotFoundError", 404),
        ("fault-429", "RateLimitError", 429),
        ("fault-quota", "RateLimitError", 429),
        ("fault-500", "InternalServerError", 500),
        ("fault-502-html", "InternalServerError", 502),
        ("fault-flaky", "InternalServerError", 503),
    ],
)
def test_a_fault_is_the_sdks_typed_error(
    client: Any, fault: str, kind: str, status: int, stream: bool
) -> None:
    """The SDK raises its error for the status, with the `FailResponse` if there is one."""
    with pytest.raises(getattr(writerai, kind)) as caught:
        create(client, fault, stream=stream)
    error = caught.value
    assert error.status_code == status
    assert error.response.headers["action-id"].startswith("sandbox-")
    if fault != "fault-502-html":
        assert error.body["errors"][0]["description"]


def test_an_answer_that_is_late_is_a_timeout(client: Any) -> None:
    """The SDK raises its timeout error after its own timeout."""
    with pytest.raises(writerai.APITimeoutError):
        create(client.with_options(timeout=0.2), "fault-slow")


def test_the_sdks_own_retries_succeed(client: Any) -> None:
    """The SDK's third attempt at `flaky` is answered."""
    answered = create(client.with_options(max_retries=2), "fault-flaky", random_seed=9)
    assert answered.choices[0].text


@pytest.fixture(scope="module")
def replaying() -> Iterator[Any]:
    """Return an SDK client of `writer sandbox --replay`."""
    with writerai.Writer(
        api_key="made-up", base_url=os.environ["WRITER_REPLAY_URL"], max_retries=0
    ) as client:
        yield client


RECORDED = {"model": "palmyra-x5", "prompt": "A recorded prompt", "max_tokens": 12}


def test_a_recorded_answer_is_replayed(replaying: Any) -> None:
    """A recording is replayed whole and as a stream; 1 and 1.0 are the same temperature."""
    for temperature in (1, 1.0):
        completion = replaying.completions.create(**RECORDED, temperature=temperature)
        assert completion.choices[0].text == "a recorded text"
    with replaying.completions.create(**RECORDED, temperature=1, stream=True) as stream:
        assert "".join(chunk.value for chunk in stream) == "a recorded text"


def test_an_unrecorded_request_is_not_found(replaying: Any) -> None:
    """The SDK's error says that the request is not recorded."""
    with pytest.raises(writerai.NotFoundError, match="is not recorded in"):
        replaying.completions.create(**RECORDED, temperature=0.5)
