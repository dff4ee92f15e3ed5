"""The small parts of a batch: its plan, its counts, its set of ids, its view of an outage."""

from typing import Any

import pytest

from writer_cli.batch import Plan
from writer_cli.batch.counting import Count
from writer_cli.batch.hash_set import HashSet
from writer_cli.batch.outage import Outage
from writer_cli.batch.tokens import TokenEstimate
from writer_cli.errors import UsageError
from writer_cli.models import CompletionRequest, CompletionResponse


def test_a_plan_has_eight_threads_and_no_limits() -> None:
    """The smallest numbers are allowed."""
    plan = Plan(model_id="m")
    assert (plan.concurrency, plan.rpm, plan.tpm, plan.max_requests) == (8, None, None, None)
    assert (plan.customization_id, plan.defaults) == (None, {})
    Plan(model_id="m", concurrency=1, rpm=0.1, tpm=0.1, max_requests=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("concurrency", 0), ("rpm", 0), ("tpm", 0), ("rpm", -1.5), ("max_requests", -1)],
)
def test_a_number_out_of_range_names_its_field(name: str, value: Any) -> None:
    """The message has the field and the value."""
    with pytest.raises(UsageError) as caught:
        Plan(**{"model_id": "m", name: value})
    assert (caught.value.message, caught.value.field) == (f"{name}: {value} is out of range", name)


def test_the_part_that_was_refused() -> None:
    """It is 0 before anything was sent."""
    assert Count(0, 0.0).part == 0
    assert Count(0, 0.0, sent=1, refused=1).part == 1
    assert Count(0, 0.0, sent=4, refused=1).part == 0.25


def test_a_set_of_hashes_grows_when_three_quarters_are_full() -> None:
    """It then has twice as much room, and forgets nothing."""
    seen = HashSet()
    assert all(seen.add(str(number)) for number in range(768))
    assert len(seen._slots) == 1024  # noqa: SLF001 - its memory
    assert seen.add("768")
    assert len(seen._slots) == 2048  # noqa: SLF001 - its memory
    assert all(seen.add(str(number)) for number in range(769, 5000))
    assert not any(seen.add(str(number)) for number in range(5000))
    assert len(seen._slots) == 8192  # noqa: SLF001 - its memory


def failing(times: list[float], *, is_first_attempt: bool = True) -> Outage:
    """Return the view of an outage after failures at these times; the first has number 10."""
    outage = Outage()
    for number, now in enumerate(times, 10):
        outage.failed(now, number, is_first_attempt=is_first_attempt)
    return outage


@pytest.mark.parametrize(
    ("times", "is_first_attempt", "is_on"),
    [
        ([5.0, 5.0, 5.0, 5.0, 6.0], True, True),
        ([5.0, 5.0, 5.0, 5.0, 5.9], True, False),
        ([5.0, 5.0, 5.0, 6.0], True, False),
        ([5.0, 5.0, 5.0, 5.0, 9.0], False, False),
    ],
)
def test_five_records_that_fail_for_a_second_are_an_outage(
    times: list[float], *, is_first_attempt: bool, is_on: bool
) -> None:
    """Fewer failures, a shorter time, and records that had failed before are none."""
    outage = failing(times, is_first_attempt=is_first_attempt)
    assert outage.is_on is is_on
    if is_on:
        assert outage.probe_at == 6.5


@pytest.mark.parametrize(
    ("now", "probe_at"), [(6.0, 6.5), (9.0, 9.5), (13.0, 14.0), (245.0, 275.0), (1005.0, 1035.0)]
)
def test_probes_are_an_eighth_of_the_outage_apart(now: float, probe_at: float) -> None:
    """They are half a second apart at least, and half a minute at most."""
    outage = failing([5.0, 5.0, 5.0, 5.0, 6.0])
    outage.sent(now)
    assert outage.probe_at == probe_at
    outage.failed(now + 9, 20, is_first_attempt=True)
    assert outage.probe_at == probe_at  # a failure during the outage changes nothing


def test_an_answer_to_a_later_request_ends_an_outage() -> None:
    """An answer to a request from before the first failure does not, nor to that request itself."""
    outage = failing([5.0, 5.0, 5.0, 5.0, 6.0])
    for number in (9, 10):
        outage.answered(number)
        assert outage.is_on
    outage.answered(11)
    assert not outage.is_on
    for now in (7.0, 7.0, 7.0, 9.0):
        outage.failed(now, 12, is_first_attempt=True)
        assert not outage.is_on  # the counting has begun anew
    outage.failed(9.0, 12, is_first_attempt=True)
    assert outage.is_on


def test_the_estimate_of_tokens_is_a_mean() -> None:
    """It begins with 1,000 tokens of 4,000 characters, and ten answers of 256 tokens."""
    estimate = TokenEstimate()
    both = CompletionRequest(prompt="x" * 100, n=2, best_of=3)
    assert estimate.before(both) == 25 + 3 * 256
    assert estimate.before(CompletionRequest(prompt="x" * 100, n=2, max_tokens=300)) == 25 + 512
    assert estimate.before(CompletionRequest(prompt="x" * 100, n=2, max_tokens=200)) == 25 + 400
    usage = {"prompt_tokens": 50, "completion_tokens": 90, "total_tokens": 140}
    answer = CompletionResponse.model_validate({"choices": [{"text": "y"}], "usage": usage})
    assert estimate.after(both, answer) == 140
    one = CompletionRequest(prompt="x" * 82)
    assert estimate.before(one) == pytest.approx(82 * 1050 / 4100 + 2650 / 13)
    usage = {"prompt_tokens": 50, "total_tokens": 50}
    answer = CompletionResponse.model_validate({"choices": [], "usage": usage})
    assert estimate.after(CompletionRequest(prompt="x" * 100, n=2), answer) == 50
    assert estimate.before(one) == pytest.approx(82 * 1100 / 4200 + 2650 / 13)
    usage = {"completion_tokens": 70, "total_tokens": 70}
    answer = CompletionResponse.model_validate({"choices": [], "usage": usage})
    estimate.after(CompletionRequest(prompt="x", n=2), answer)
    assert estimate.before(one) == pytest.approx(82 * 1100 / 4200 + 2720 / 15)
