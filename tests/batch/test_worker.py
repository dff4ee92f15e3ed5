"""One attempt at a record: its result, or when it is to be tried again."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.harness.batches import Echo, Fault, serving, writer_for
from writer_cli.batch import Plan, Record
from writer_cli.batch.limits import StoppedError
from writer_cli.batch.traffic import Traffic
from writer_cli.batch.worker import Pending, Worker, request_for
from writer_cli.errors import DeadlineError, PartialError, SDKError, UsageError
from writer_cli.sandbox.faults import FAULTS
from writer_cli.sandbox.messages import Response, json_response

LONG_AGO = -1000.0
"""A moment on the clock before this machine was started."""


def failure(name: str, **headers: str) -> Response:
    """Return a failure of the sandbox with these headers."""
    response = FAULTS[name](json_response({}))
    for header, value in headers.items():
        response.headers[header.replace("_", "-")] = value
    return response


@contextmanager
def at_work(fault: Fault, **options: Any) -> Iterator[tuple[Worker, Traffic]]:
    """Return a worker whose server has these faults, and the counts of its batch."""
    plan = Plan(model_id="m", tpm=options.pop("tpm", None))
    traffic = Traffic(plan)
    with serving(Echo(fault)) as server, writer_for(server, **options)() as writer:
        yield Worker(writer, plan, traffic), traffic


def test_an_answer_is_a_result() -> None:
    """It has the time since the first request, and its tokens are settled."""
    pending = Pending(Record(7, "p"))
    with at_work(lambda *_: None, tpm=60_000) as (worker, traffic):
        before = time.monotonic()
        result = worker.attempt(pending)
    assert result is not None
    assert (result.texts, result.attempts, result.model_id) == (["echo of p"], 1, "m")
    assert result.error is None
    assert (pending.requests, pending.failures, pending.refusals) == (1, 0, 0)
    assert before <= pending.first_sent_at <= time.monotonic()
    assert 0 < result.elapsed_s <= time.monotonic() - before
    assert (traffic.requests, traffic.in_flight) == (1, 0)
    # The estimate was 0.25 + 256 tokens, and the text has 10 characters.
    left = traffic.pace._tokens  # noqa: SLF001 - when the next request may be sent
    assert left is not None
    assert left.free_at == pytest.approx(pending.first_sent_at + 2.5 / 990, abs=0.2)


def test_a_failure_is_tried_again_as_often_as_is_allowed() -> None:
    """The waits grow, and the last failure is the result with all attempts."""
    pending = Pending(Record(0, "p"))
    with at_work(lambda *_: failure("fault-500"), max_retries=2) as (worker, traffic):
        for number, (least, most) in enumerate([(1, 1.25), (2, 2.5)], 1):
            before = time.monotonic()
            assert worker.attempt(pending) is None
            assert before + least <= pending.due <= time.monotonic() + most
            assert (pending.requests, pending.failures, pending.refusals) == (number, number, 0)
        first_sent_at = pending.first_sent_at
        result = worker.attempt(pending)
    assert pending.first_sent_at == first_sent_at
    assert result is not None
    assert result.error is not None
    assert (result.error["kind"], result.error["attempts"], result.attempts) == ("server", 3, 3)
    assert (traffic.in_flight, traffic.failure) == (0, None)


def test_a_refusal_is_no_failure() -> None:
    """A 429 costs no retry, and its wait is the one that the server asks for, else a longer one."""
    pending = Pending(Record(0, "p"))
    answers = {1: failure("fault-429", retry_after="7"), 2: failure("fault-429", retry_after="x")}
    with at_work(lambda _, count: answers[count], max_retries=0) as (worker, traffic):
        before = time.monotonic()
        assert worker.attempt(pending) is None
        assert before + 7 <= pending.due <= time.monotonic() + 7
        assert worker.attempt(pending) is None
        assert before + 2 <= pending.due <= time.monotonic() + 2.5
    assert (pending.requests, pending.failures, pending.refusals) == (2, 0, 2)
    assert (traffic.in_flight, traffic.failure) == (0, None)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (failure("fault-500", retry_after="120"), 120),
        (failure("fault-500", retry_after="121"), None),
        (failure("fault-429", retry_after="3600"), 3600),
    ],
)
def test_the_longest_wait(answer: Response, seconds: float | None) -> None:
    """A server that fails may ask for two minutes, and one that refuses for an hour."""
    pending = Pending(Record(0, "p"))
    with at_work(lambda *_: answer) as (worker, _):
        before = time.monotonic()
        result = worker.attempt(pending)
    if seconds is None:
        assert result is not None
        assert result.error is not None
    else:
        assert result is None
        assert before + seconds <= pending.due <= time.monotonic() + seconds


@pytest.mark.parametrize(
    "answer",
    [
        failure("fault-401"),
        failure("fault-403"),
        failure("fault-quota"),
        failure("fault-429", retry_after="3601"),
    ],
)
def test_an_error_of_all_records_is_that_of_the_batch(answer: Response) -> None:
    """The worker stops, and the error has its attempts."""
    with at_work(lambda *_: answer) as (worker, traffic):
        with pytest.raises(StoppedError):
            worker.attempt(Pending(Record(0, "p")))
        assert isinstance(traffic.failure, SDKError)
        assert traffic.failure.attempts == 1
        assert (traffic.is_stopped, traffic.in_flight) == (True, 0)


def test_nothing_is_tried_again_after_the_deadline() -> None:
    """The deadline begins with the first request of a record."""
    with at_work(lambda *_: failure("fault-500"), deadline=0.9) as (worker, _):
        assert worker.attempt(Pending(Record(0, "p"))) is not None
    with at_work(lambda *_: failure("fault-500"), deadline=5.0) as (worker, _):
        assert worker.attempt(Pending(Record(0, "p"))) is None
        late = Pending(Record(0, "p"), requests=1, first_sent_at=LONG_AGO)
        result = worker.attempt(late)
    assert result is not None
    assert result.error is not None
    assert (result.error["kind"], result.attempts) == ("timeout", 1)


def test_a_second_request_may_use_what_is_left_of_the_deadline() -> None:
    """Its time is not up yet."""
    again = Pending(Record(0, "p"), requests=1, first_sent_at=time.monotonic())
    with at_work(lambda *_: None, deadline=60.0) as (worker, _):
        result = worker.attempt(again)
    assert result is not None
    assert (result.error, result.attempts) == (None, 2)


def test_a_batch_without_a_success_gives_up() -> None:
    """It has ten minutes, or the deadline, and as long as the server asks to wait."""
    traffic = Traffic(Plan(model_id="m"))
    error = SDKError("busy", 503)
    traffic.give_up_after(error, 600.0)
    traffic.give_up_after(error, None)
    with pytest.raises(StoppedError):
        traffic.give_up_after(error, 0.0)
    assert traffic.failure is error
    assert error.message == "nothing was answered for 0 s: busy"
    assert error.hint == "the same command goes on with what is left, when the API is back"
    traffic.fail(SDKError("another", 500))
    assert traffic.failure is error
    patient = Traffic(Plan(model_id="m"))
    patient.wait_as_asked(100)
    patient.wait_as_asked(50)
    patient.give_up_after(error, -99.0)
    with pytest.raises(StoppedError):
        patient.give_up_after(error, -101.0)


def test_ten_minutes_without_a_success_are_too_many() -> None:
    """A batch without a deadline waits for so long."""
    traffic = Traffic(Plan(model_id="m"))
    traffic._patient_since = time.monotonic() - 600.5  # noqa: SLF001 - that long ago
    error = SDKError("busy", 503)
    with pytest.raises(StoppedError):
        traffic.give_up_after(error, None)
    assert error.message == "nothing was answered for 600 s: busy"
    assert error.hint == "the same command goes on with what is left, when the API is back"


@pytest.mark.parametrize("is_success", [True, False])
def test_a_success_starts_the_patience_again(*, is_success: bool) -> None:
    """A failure does not."""
    traffic = Traffic(Plan(model_id="m"))
    traffic.before_request(1, None)
    traffic._patient_since = LONG_AGO  # noqa: SLF001 - that long ago
    traffic.after_request(is_success=is_success)
    if is_success:
        traffic.give_up_after(SDKError("busy", 503), None)
    else:
        with pytest.raises(StoppedError):
            traffic.give_up_after(SDKError("busy", 503), None)
    assert traffic.in_flight == 0


def test_a_turn_that_comes_too_late_is_not_taken() -> None:
    """The deadline of the record has passed then, and nothing is counted."""
    traffic = Traffic(Plan(model_id="m"))
    with pytest.raises(DeadlineError):
        traffic.before_request(1, time.monotonic())
    assert (traffic.requests, traffic.in_flight) == (0, 0)
    traffic.before_request(1, time.monotonic() + 60)
    assert (traffic.requests, traffic.in_flight) == (1, 1)


def test_a_budget_is_an_error_of_the_batch() -> None:
    """The hint says that the next run goes on."""
    traffic = Traffic(Plan(model_id="m", max_requests=1))
    traffic.before_request(1, None)
    with pytest.raises(StoppedError):
        traffic.before_request(1, None)
    assert isinstance(traffic.failure, PartialError)
    assert traffic.failure.message == "the budget of 1 requests is used up"
    assert traffic.failure.hint == "what is left stays for the next run"
    assert (traffic.requests, traffic.in_flight) == (1, 1)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (Record(0, None, line=4, problem="line 4: bad"), "line 4: bad"),
        (
            Record(0, "p", line=4, fields={"top_p": 9}),
            "line 4: top_p: 9 should be less than or equal to 1",
        ),
        (Record(0, "p", fields={"n": "x"}), "n: 'x' should be a valid integer"),
        (Record(0, "p", fields={"n": 3, "best_of": 2}), "best_of"),
    ],
)
def test_a_record_that_cannot_be_a_request_has_its_message(record: Record, message: str) -> None:
    """The message has the line, the field and the value."""
    with pytest.raises(UsageError) as caught:
        request_for(record, {})
    assert caught.value.message.startswith(message)
