"""Batches in the library: `run_batch`."""

import threading
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from tests.harness.batches import SOON, Echo, serving, with_short_wait, writer_for
from writer_cli import Writer
from writer_cli.batch import Plan, Record, Result, run_batch, runner
from writer_cli.errors import FailResponse, PartialError, UsageError
from writer_cli.sandbox.faults import FAULTS
from writer_cli.sandbox.messages import Response, json_response


def records(count: int) -> Iterator[Record]:
    """Yield records with a prompt each."""
    return (Record(index, f"prompt {index}") for index in range(count))


def threads_of_batches() -> list[threading.Thread]:
    """Return the threads of all batches in this process."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("batch-")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Fail if a thread of a batch is left after a test."""
    yield
    for thread in threads_of_batches():
        thread.join(SOON)
    assert threads_of_batches() == []


def failure(name: str, **headers: str) -> Response:
    """Return a failure of the sandbox with these headers."""
    response = FAULTS[name](json_response({}))
    for header, value in headers.items():
        response.headers[header.replace("_", "-")] = value
    return response


def test_each_record_gets_one_result() -> None:
    """A batch is an iterator with one result per record, in the order of the answers."""
    with serving(Echo()) as server:
        batch = run_batch(records(50), Plan(model_id="m"), make_writer=writer_for(server))
        first = next(batch)
        results = sorted([first, *batch], key=lambda result: result.index)
        assert next(batch, None) is None
    assert [(result.index, result.texts) for result in results] == [
        (index, [f"echo of prompt {index}"]) for index in range(50)
    ]
    assert {(result.attempts, result.error, result.model_id) for result in results} == {
        (1, None, "m")
    }
    assert all(0 < result.elapsed_s < SOON for result in results)
    assert batch.is_over
    assert (batch.requests, batch.in_flight) == (50, 0)


def test_no_records_are_no_results() -> None:
    """An empty batch ends and sends nothing."""
    with run_batch([], Plan(model_id="m"), make_writer=lambda: Writer(sandbox=True)) as batch:
        assert list(batch) == []
    assert batch.requests == 0


def test_a_customization_and_fields_are_asked_for() -> None:
    """A record's fields come before those of the batch, for a customization too."""
    asked: list[tuple[str, Any]] = []

    class Noting(Echo):
        def respond(self, request: Any) -> Response:
            asked.append((request.path, request.body))
            return super().respond(request)

    one = [Record(0, "a", fields={"temperature": 0.5})]
    with serving(Noting()) as server:
        plan = Plan(
            model_id="m",
            customization_id="c",
            defaults={"temperature": 1.5, "max_tokens": 9},
        )
        results = run_batch(one, plan, make_writer=writer_for(server))
        assert [result.texts for result in results] == [["echo of a"]]
    assert asked == [
        (
            "/llm/organization/1/model/m/customization/c/completions",
            b'{"prompt":"a","maxTokens":9,"temperature":0.5}',
        )
    ]


def test_a_record_that_cannot_be_sent_is_a_failed_result() -> None:
    """A bad record is a failed result, and nothing is sent for it."""
    bad = [
        Record(0, None, line=1, problem="line 1: not JSON"),
        Record(1, "a", line=2, fields={"temperature": "hot"}),
        Record(2, "b"),
    ]
    with serving(Echo()) as server:
        results = {
            r.index: r for r in run_batch(bad, Plan(model_id="m"), make_writer=writer_for(server))
        }
    errors = {index: r.error and r.error["message"] for index, r in results.items()}
    assert errors.pop(1, "").startswith("line 2: temperature: ")  # type: ignore[union-attr]
    assert errors == {0: "line 1: not JSON", 2: None}
    assert [results[index].attempts for index in range(3)] == [0, 0, 1]
    assert results[0].elapsed_s == 0


@pytest.mark.parametrize(
    ("fault", "kind", "attempts"),
    [
        ("fault-400", "refused", 1),
        ("fault-404", "not_found", 1),
        ("fault-500", "server", 3),
        ("fault-garbage", "bad_answer", 1),
        ("fault-cut", "cut", 1),
    ],
)
def test_a_failure_is_of_its_record_alone(fault: str, kind: str, attempts: int) -> None:
    """One of ten records fails, with the number of its attempts; the others are answered."""
    with serving(Echo(lambda prompt, _: fault if prompt == "prompt 3" else None)) as server:
        make_writer = writer_for(server, max_retries=2)
        results = list(run_batch(records(10), Plan(model_id="m"), make_writer=make_writer))
    assert sorted(result.index for result in results) == list(range(10))
    failed = [result for result in results if result.error is not None]
    assert [(r.index, r.choices, r.texts, r.attempts) for r in failed] == [(3, None, [], attempts)]
    assert failed[0].error is not None
    assert (failed[0].error["kind"], failed[0].error["attempts"]) == (kind, attempts)


def test_an_answer_without_choices_is_a_failure() -> None:
    """An answer without a choice is a bad answer."""
    with serving(Echo(lambda *_: json_response({"choices": []}))) as server:
        (result,) = run_batch(records(1), Plan(model_id="m"), make_writer=writer_for(server))
    assert result.error is not None
    assert (result.error["kind"], result.attempts) == ("bad_answer", 1)


@pytest.mark.parametrize(
    "answer",
    [
        failure("fault-401"),
        failure("fault-403"),
        failure("fault-quota"),
        failure("fault-429", x_should_retry="false"),
    ],
    ids=["401", "403", "quota", "a 429 that is not to be tried again"],
)
def test_an_error_that_concerns_all_records_stops_the_batch(answer: Response) -> None:
    """A refused key or quota is raised after the results so far, and stops the batch."""
    with serving(Echo(lambda prompt, _: answer if prompt == "prompt 5" else None)) as server:
        batch = run_batch(records(10**6), Plan(model_id="m"), make_writer=writer_for(server))
        results: list[Result] = []
        with pytest.raises(FailResponse) as caught:
            results.extend(iter(lambda: next(batch), None))
    assert caught.value.status_code == answer.status
    assert caught.value.attempts == 1
    assert all(result.error is None and result.index != 5 for result in results)
    assert batch.requests < 1000


def test_a_missing_key_stops_the_batch() -> None:
    """A missing key stops the batch before anything is sent."""
    batch = run_batch(records(9), Plan(model_id="m"), make_writer=lambda: Writer(organization_id=1))
    with pytest.raises(Exception, match="no API key") as caught:
        list(batch)
    assert getattr(caught.value, "kind", None) == "configuration"
    assert batch.requests == 0


def test_a_budget_of_requests_is_kept_exactly() -> None:
    """Sixteen threads with retries send exactly the number of requests that is allowed."""
    echo = Echo(lambda _, count: "fault-500" if count == 1 else None)
    with serving(echo) as server:
        make_writer = writer_for(server)
        batch = run_batch(
            records(100),
            Plan(model_id="m", concurrency=16, max_requests=41),
            make_writer=make_writer,
        )
        results: list[Result] = []
        with pytest.raises(PartialError, match="the budget of 41 requests is used up"):
            results.extend(iter(lambda: next(batch), None))
    assert echo.counts.total() == batch.requests == 41
    assert len(results) == sum(count == 2 for count in echo.counts.values())


def test_a_budget_that_suffices_is_not_mentioned() -> None:
    """A budget of one request for each record causes no error."""
    with serving(Echo()) as server:
        batch = run_batch(
            records(20), Plan(model_id="m", max_requests=20), make_writer=writer_for(server)
        )
        assert len(list(batch)) == 20


def test_a_stopped_batch_sends_nothing_more() -> None:
    """After a stop, requests under way are answered, and no retry is sent."""
    echo = Echo(lambda prompt, _: failure("fault-500") if prompt == "prompt 0" else None)
    with serving(echo) as server:
        make_writer = writer_for(server)
        batch = run_batch(records(100), Plan(model_id="m", concurrency=4), make_writer=make_writer)
        echo.gate.clear()
        echo.wait_for_requests(4)
        already = [batch.poll(SOON) for _ in range(echo.counts.total() - 4)]
        echo.wait_for_requests(4)
        batch.stop()
        echo.gate.set()
        results = [*already, *batch]
    answered = {result.index for result in results if result is not None}
    assert answered == set(range(batch.requests)) - {0}
    assert batch.requests == echo.counts.total() < 20
    assert batch.in_flight == 0


def test_threads_end_when_the_caller_leaves() -> None:
    """If the caller leaves early, the threads end and have read only a few records more."""
    taken = []

    def counted() -> Iterator[Record]:
        for record in records(10**6):
            taken.append(record.index)
            yield record

    with serving(Echo()) as server:
        with run_batch(
            counted(), Plan(model_id="m", concurrency=3), make_writer=writer_for(server)
        ) as b:
            assert next(b).texts
        for thread in threads_of_batches():
            thread.join(SOON)
    assert threads_of_batches() == []
    assert len(taken) <= 1 + 3 * 4 + 3


def test_full_results_make_the_threads_wait() -> None:
    """While nobody takes results, no requests are sent."""
    echo = Echo()
    with serving(echo) as server:
        batch = run_batch(
            records(50), Plan(model_id="m", concurrency=2), make_writer=writer_for(server)
        )
        echo.wait_for_requests(8)
        time.sleep(0.2)  # hundreds could be sent in this time
        assert echo.counts.total() <= 8 + 2
        assert sum(1 for _ in batch) == 50


def test_an_input_that_fails_raises_that() -> None:
    """Records before the error are answered, then the input's own error is raised."""

    def broken() -> Iterator[Record]:
        yield from records(5)
        raise RuntimeError("the input broke")

    with serving(Echo()) as server:
        batch = run_batch(broken(), Plan(model_id="m"), make_writer=writer_for(server))
        results: list[Result] = []
        with pytest.raises(RuntimeError, match="the input broke"):
            results.extend(iter(lambda: next(batch), None))
    assert len(results) == batch.requests <= 5


def broken_client() -> Writer:
    """Raise an error, as a function with a bug does."""
    raise ZeroDivisionError("no client")


def ended_client() -> Writer:
    """Raise `SystemExit`, as a function does that ends the process."""
    raise SystemExit("no client")


@pytest.mark.parametrize(
    ("make_writer", "record", "error"),
    [
        (broken_client, Record(0, "a"), ZeroDivisionError),
        (ended_client, Record(0, "a"), SystemExit),
        (lambda: Writer(sandbox=True), Record(0, 7, fields=[1]), TypeError),  # type: ignore[arg-type]
    ],
)
def test_a_bug_is_raised_and_hangs_nothing(
    make_writer: Callable[[], Writer], record: Record, error: type[BaseException]
) -> None:
    """An unexpected exception stops the batch and is raised to the caller."""
    batch = run_batch([record] * 100, Plan(model_id="m"), make_writer=make_writer)
    with pytest.raises(error):
        list(batch)
    assert batch.is_over


def test_a_stopped_batch_does_not_wait_for_its_input() -> None:
    """A stopped batch ends although a thread still waits for its input."""
    never = threading.Event()

    def endless() -> Iterator[Record]:
        yield from records(3)
        never.wait(SOON)
        yield Record(3, "too late")

    echo = Echo()
    with serving(echo) as server:
        with run_batch(endless(), Plan(model_id="m"), make_writer=writer_for(server)) as batch:
            assert len([batch.poll(SOON) for _ in range(3)]) == 3
            assert not batch.is_over
            assert batch.poll(0.0) is None
            batch.stop()
            assert list(batch) == []
        never.set()
        for thread in threads_of_batches():
            thread.join(SOON)
    assert echo.counts.total() == 3


@pytest.mark.parametrize(
    "numbers",
    [{"concurrency": 0}, {"rpm": 0}, {"tpm": -1}, {"max_requests": -1}],
    ids=lambda numbers: next(iter(numbers)),
)
def test_a_number_out_of_range_is_refused(numbers: dict[str, Any]) -> None:
    """The error names the number, and nothing is started."""
    with pytest.raises(UsageError, match=next(iter(numbers))):
        run_batch(records(1), Plan(model_id="m", **numbers), make_writer=broken_client)


def test_each_thread_has_its_own_client_and_closes_it() -> None:
    """There are as many clients as threads, and all are closed."""
    made: list[Writer] = []
    closed: list[Writer] = []

    class Counted(Writer):
        def close(self) -> None:
            closed.append(self)
            super().close()

    echo = Echo()
    with serving(echo) as server:

        def make_writer() -> Writer:
            made.append(Counted("key", 1, base_url=server.url))
            return made[-1]

        echo.gate.clear()
        batch = run_batch(records(60), Plan(model_id="m", concurrency=6), make_writer=make_writer)
        echo.wait_for_requests(6)
        echo.gate.set()
        assert sum(1 for _ in batch) == 60
    assert len(made) == 6
    assert {id(writer) for writer in closed} == {id(writer) for writer in made}


def test_threads_that_keep_a_processor_busy_are_not_joined_by_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No thread is added while the processor is busy."""
    monkeypatch.setattr(runner, "BUSY", 0.0)  # the processor always counts as busy
    made: list[Writer] = []
    with serving(Echo(), latency=0.02) as server:

        def make_writer() -> Writer:
            made.append(Writer("key", 1, base_url=server.url))
            return made[-1]

        results = run_batch(records(20), Plan(model_id="m", concurrency=6), make_writer=make_writer)
        assert sum(1 for _ in results) == 20
    assert len(made) == 1


def test_on_result_gets_each_result_in_its_thread() -> None:
    """`on_result` gets each result in the thread that received it."""
    taken: list[tuple[int, str]] = []

    def on_result(result: Result) -> None:
        taken.append((result.index, threading.current_thread().name))

    with serving(Echo()) as server:
        make_writer = writer_for(server)
        batch = run_batch(
            records(50), Plan(model_id="m"), make_writer=make_writer, on_result=on_result
        )
        assert list(batch) == []
        assert batch.wait(0.0)
    assert sorted(index for index, _ in taken) == list(range(50))
    assert threading.current_thread().name not in {name for _, name in taken}


def test_an_exception_in_on_result_stops_the_batch() -> None:
    """An exception in `on_result` stops the batch and is raised to the caller."""

    def on_result(_: Result) -> None:
        raise ZeroDivisionError("no room")

    with serving(Echo()) as server:
        make_writer = writer_for(server)
        batch = run_batch(
            records(10**6), Plan(model_id="m"), make_writer=make_writer, on_result=on_result
        )
        with pytest.raises(ZeroDivisionError):
            list(batch)
    assert batch.requests < 100


def test_a_stated_rate_is_kept_on_a_real_clock() -> None:
    """Sixteen threads keep the rate: 31 requests at 1200 a minute take 1.5 s."""
    echo = Echo()
    with serving(echo) as server:
        make_writer = writer_for(server)
        batch = run_batch(
            records(31),
            Plan(model_id="m", concurrency=16, rpm=1200, tpm=1e9),
            make_writer=make_writer,
        )
        assert sum(1 for _ in batch) == 31
    assert max(echo.times) - min(echo.times) >= 1.45


def test_a_storm_of_faults_loses_and_repeats_nothing() -> None:
    """64 threads lose and repeat none of 500 records, with 30 % of the requests failing."""
    random, lock = Random(3), threading.Lock()  # noqa: S311 - rehearsed failures
    faults = ["fault-500", "fault-502-html", "fault-cut", "fault-garbage", "fault-400"]

    def fault(*_: object) -> Response | str | None:
        with lock:
            if random.random() < 0.001:
                return with_short_wait(failure("fault-429"))
            return random.choice(faults) if random.random() < 0.3 else None

    echo = Echo(fault)
    with serving(echo) as server:
        make_writer = writer_for(server, max_retries=5)
        batch = run_batch(records(500), Plan(model_id="m", concurrency=64), make_writer=make_writer)
        results = list(batch)
    assert sorted(result.index for result in results) == list(range(500))
    assert all(result.attempts == echo.counts[f"prompt {result.index}"] for result in results)
    assert all(
        result.error is not None or result.texts == [f"echo of prompt {result.index}"]
        for result in results
    )
    assert (batch.requests, batch.in_flight) == (echo.counts.total(), 0)
