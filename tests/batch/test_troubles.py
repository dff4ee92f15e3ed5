"""A batch with a server that refuses, fails or is down, with real threads and sockets."""

import re
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from tests.harness.batches import Echo, serving, with_short_wait, writer_for
from writer_cli.batch import BatchRun, Plan, Record, Result, run_batch
from writer_cli.batch.tokens import TokenEstimate
from writer_cli.errors import FailResponse, NetworkError, SDKError
from writer_cli.exits import ExitCode
from writer_cli.models import CompletionRequest, CompletionResponse
from writer_cli.sandbox.faults import FAULTS
from writer_cli.sandbox.messages import Response, json_response


def records(count: int) -> Iterator[Record]:
    """Yield records with a prompt each."""
    return (Record(index, f"prompt {index}") for index in range(count))


def failure(name: str, **headers: str) -> Response:
    """Return a failure of the sandbox with these headers."""
    response = FAULTS[name](json_response({}))
    for header, value in headers.items():
        response.headers[header.replace("_", "-")] = value
    return response


def results_and_bounds(batch: BatchRun) -> tuple[list[Result], set[str]]:
    """Take all results, and collect what limited the speed."""
    results: list[Result] = []
    bounds: set[str] = set()
    while not batch.is_over:
        result = batch.poll(0.02)
        results += [] if result is None else [result]
        bounds.add(batch.bound)
    return results, bounds


def test_a_single_429_makes_its_own_record_wait() -> None:
    """Only the refused record waits for the second that the server asks for."""
    refused_at: list[float] = []
    came_again: list[float] = []

    def fault(prompt: str, count: int) -> Response | None:
        if prompt != "prompt 20":
            return None
        (came_again if refused_at else refused_at).append(time.monotonic())
        return failure("fault-429") if count == 1 else None

    echo = Echo(fault)
    with serving(echo) as server:
        batch = run_batch(records(40), Plan(model_id="m"), make_writer=writer_for(server))
        results = list(batch)
    assert sorted(result.attempts for result in results) == [1] * 39 + [2]
    assert came_again[0] - refused_at[0] >= 0.99
    assert sorted(echo.times)[-2] - refused_at[0] < 0.9


def test_many_429s_hold_every_thread() -> None:
    """If every request is refused, no thread sends until the server's wait is over."""
    echo = Echo(lambda *_: failure("fault-429"))
    bounds, pause = set(), 0.0
    # With this latency several requests are under way when the first refusal is known.
    with serving(echo, latency=0.3) as server:
        batch = run_batch(records(100), Plan(model_id="m"), make_writer=writer_for(server))
        while pause < 0.99:  # the server asks for a second
            assert not batch.wait(0.01)
            assert echo.counts.total() < 60
            bounds.add(batch.bound)
            pause = max((later - time for time, later in pairwise(echo.times)), default=0.0)
        batch.stop()
        assert list(batch) == []
    assert any(bound.startswith("waiting ") for bound in bounds)


def test_a_429_is_no_failed_attempt() -> None:
    """A record that is refused six times is answered in the end, even without retries."""

    def fault(prompt: str, count: int) -> Response | None:
        return (
            with_short_wait(failure("fault-429")) if prompt == "prompt 3" and count <= 6 else None
        )

    with serving(Echo(fault)) as server:
        make_writer = writer_for(server, max_retries=0)
        results = list(run_batch(records(10), Plan(model_id="m"), make_writer=make_writer))
    assert all(result.error is None for result in results)
    assert {result.index: result.attempts for result in results}[3] == 7


def test_a_deadline_bounds_the_wait_of_a_refused_record() -> None:
    """If the wait would pass the deadline, the record fails with the refusal."""
    with serving(
        Echo(lambda prompt, _: failure("fault-429") if prompt == "prompt 3" else None)
    ) as server:
        make_writer = writer_for(server, deadline=0.9)
        results = list(run_batch(records(10), Plan(model_id="m"), make_writer=make_writer))
    (failed,) = [result for result in results if result.error is not None]
    assert failed.error is not None
    assert (failed.index, failed.error["kind"], failed.attempts) == (3, "rate_limit", 1)


def test_a_deadline_passes_while_a_record_waits_for_its_turn() -> None:
    """If the rate limit delays a retry beyond the deadline, the record fails."""
    with serving(Echo(lambda prompt, _: "fault-500" if prompt == "prompt 0" else None)) as server:
        make_writer = writer_for(server, deadline=0.5)
        plan = Plan(model_id="m", rpm=60, concurrency=1)
        (result,) = run_batch(records(1), plan, make_writer=make_writer)
    assert result.error is not None
    assert (result.error["kind"], result.attempts) == ("timeout", 1)


def test_an_answer_that_comes_after_the_deadline_fails_its_record_only() -> None:
    """An answer after the deadline does not make the batch probe or stop."""
    with serving(Echo(lambda *_: None), latency=1.0) as server:
        make_writer = writer_for(server, deadline=0.2)
        batch = run_batch(records(6), Plan(model_id="m"), make_writer=make_writer)
        results, bounds = results_and_bounds(batch)
    assert [result.error and result.error["kind"] for result in results] == ["timeout"] * 6
    assert not [bound for bound in bounds if "probing" in bound]


def test_a_wait_of_hours_stops_the_batch() -> None:
    """If the server asks for more than an hour, the batch stops as for a quota."""
    answer = failure("fault-429", retry_after="3601")
    with serving(Echo(lambda prompt, _: answer if prompt == "prompt 5" else None)) as server:
        batch = run_batch(records(10**6), Plan(model_id="m"), make_writer=writer_for(server))
        with pytest.raises(FailResponse) as caught:
            list(batch)
    assert caught.value.exit_code == ExitCode.LIMITED


def test_a_wait_of_minutes_is_obeyed() -> None:
    """The batch waits for ten minutes if the server asks for it, and can be stopped."""
    answer = failure("fault-429", retry_after="600")
    with serving(Echo(lambda *_: answer)) as server:
        batch = run_batch(records(10**6), Plan(model_id="m"), make_writer=writer_for(server))
        while not batch.bound.startswith("waiting "):
            assert not batch.wait(0.01)
        assert re.fullmatch(r"waiting (59\d|600) s, as the server asks", batch.bound)
        batch.stop()
        assert list(batch) == []


def test_an_outage_costs_no_record_its_retries() -> None:
    """In an outage only probes are sent, and afterwards every record is answered."""
    up_at = time.monotonic() + 3.0

    def fault(*_: object) -> Response | None:
        return failure("fault-500") if time.monotonic() < up_at else None

    echo = Echo(fault)
    with serving(echo) as server:
        make_writer = writer_for(server, max_retries=1)
        batch = run_batch(records(60), Plan(model_id="m"), make_writer=make_writer)
        results, bounds = results_and_bounds(batch)
    assert [result.error for result in results] == [None] * 60
    assert "server overloaded, probing" in bounds
    assert max(echo.times) < up_at + 2


@pytest.mark.parametrize("is_there", [True, False], ids=["a server that fails", "no server"])
def test_a_batch_gives_up_when_nothing_succeeds(is_there: bool) -> None:
    """Without a success for the deadline's time, the batch stops with the last failure."""
    with serving(Echo(lambda *_: failure("fault-500"))) as server:
        make_writer = writer_for(server, deadline=1.8)
        if not is_there:
            server.close()
        batch = run_batch(records(10**6), Plan(model_id="m"), make_writer=make_writer)
        results, bounds = results_and_bounds(batch)
        with pytest.raises(SDKError if is_there else NetworkError) as caught:
            batch.raise_failure()
    assert caught.value.message.startswith("nothing was answered for 1.8 s: ")
    assert str(caught.value.hint).startswith("the same command goes on")
    assert len(results) < 400
    what = "server overloaded" if is_there else "no connection"
    assert f"{what}, probing" in bounds


def test_random_refusals_slow_nothing_down() -> None:
    """If 7 % of the requests are refused at random, the other requests do not wait."""
    random, lock = Random(3), threading.Lock()  # noqa: S311 - rehearsed failures

    def fault(*_: object) -> Response | None:
        with lock:
            return with_short_wait(failure("fault-429")) if random.random() < 0.07 else None

    with serving(Echo(fault), latency=0.01) as server:
        plan = Plan(model_id="m", concurrency=16)
        batch = run_batch(records(400), plan, make_writer=writer_for(server))
        results, bounds = results_and_bounds(batch)
    assert sorted(result.index for result in results) == list(range(400))
    assert all(result.error is None for result in results)
    assert not [bound for bound in bounds if bound.startswith("waiting ")]


def test_a_learned_rate_limits_the_speed() -> None:
    """If a server allows 40 requests a second, the batch reports its learned limit."""
    times: list[float] = []
    lock = threading.Lock()

    def fault(*_: object) -> Response | None:
        with lock:
            now = time.monotonic()
            if sum(now - at < 0.5 for at in times[-20:]) >= 20:
                return with_short_wait(failure("fault-429"))
            times.append(now)
            return None

    with serving(Echo(fault)) as server:
        batch = run_batch(records(100), Plan(model_id="m"), make_writer=writer_for(server))
        results, bounds = results_and_bounds(batch)
    assert len(results) == 100
    assert any(bound.startswith("limited by the server to ") for bound in bounds)


@pytest.mark.parametrize(
    ("plan", "bound"),
    [
        ({"rpm": 600.0}, "limited by --rpm"),
        ({"tpm": 60_000.0}, "limited by --tpm"),
        ({}, "in flight"),
    ],
)
def test_a_batch_reports_what_limits_its_speed(plan: dict[str, Any], bound: str) -> None:
    """The batch names the flag of a stated limit, else the number of requests under way."""
    with serving(Echo(), latency=0.05) as server:
        plan = {"model_id": "m", **plan}
        batch = run_batch(records(10), Plan(**plan), make_writer=writer_for(server))
        _, bounds = results_and_bounds(batch)
    assert any(bound in one for one in bounds)


def test_the_estimate_of_tokens_learns() -> None:
    """The usage in answers corrects the estimates of prompt and completion tokens."""
    estimate = TokenEstimate()
    request = CompletionRequest(prompt="x" * 4000)
    assert estimate.before(request) == 1000 + 256
    usage = {"prompt_tokens": 2000, "completion_tokens": 500, "total_tokens": 2500}
    answer = CompletionResponse.model_validate({"choices": [{"text": "y"}], "usage": usage})
    for _ in range(200):
        assert estimate.after(request, answer) == 2500
    assert estimate.before(request) == pytest.approx(2500, rel=0.03)
    limited = CompletionRequest(prompt="x" * 4000, max_tokens=10)
    assert estimate.before(limited) == pytest.approx(2010, rel=0.03)


def test_missing_usage_is_estimated_by_the_length() -> None:
    """Tokens are estimated if the usage is missing or has a total alone."""
    estimate = TokenEstimate()
    request = CompletionRequest(prompt="x" * 40)
    silent = CompletionResponse.model_validate({"choices": [{"text": "y" * 40}]})
    assert estimate.after(request, silent) == 20
    total = {"choices": [{"text": "y"}], "usage": {"total_tokens": 7}}
    assert estimate.after(request, CompletionResponse.model_validate(total)) == 7
    assert estimate.before(request) == 10 + 256


def test_a_retry_is_sent_while_the_input_is_silent() -> None:
    """A retry is sent though a thread waits for the next line of the input."""
    more = threading.Event()

    def slow() -> Iterator[Record]:
        yield from records(2)
        more.wait(30)

    echo = Echo(lambda prompt, count: "fault-500" if (prompt, count) == ("prompt 1", 1) else None)
    with serving(echo) as server:
        batch = run_batch(slow(), Plan(model_id="m"), make_writer=writer_for(server))
        taken = [batch.poll(10), batch.poll(10)]
        more.set()
        assert list(batch) == []
    assert sorted(result.index for result in taken if result is not None) == [0, 1]
    assert echo.counts["prompt 1"] == 2


def test_threads_do_not_run_ahead_of_records_that_wait() -> None:
    """While all records wait for a retry, only a few more are read."""
    taken = []

    def counted() -> Iterator[Record]:
        for record in records(10**6):
            taken.append(record.index)
            yield record

    def fault(prompt: str, count: int) -> Response | None:
        refused = failure("fault-500", retry_after="60")
        return refused if count == 1 and int(prompt.split()[1]) else None

    echo = Echo(fault)
    with serving(echo) as server:
        batch = run_batch(
            counted(), Plan(model_id="m", concurrency=2), make_writer=writer_for(server)
        )
        echo.wait_for_requests(33)
        assert not batch.wait(0.3)
        batch.stop()
    assert len(taken) <= 2 * 16 + 2 + 2
