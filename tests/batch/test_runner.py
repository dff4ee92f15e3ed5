"""When the threads of a batch go on, and when its reader does."""

import threading
import time
from collections.abc import Iterator

from tests.harness.batches import Echo, serving, writer_for
from writer_cli.batch import Plan, Record, run_batch
from writer_cli.sandbox.faults import FAULTS
from writer_cli.sandbox.messages import Response, json_response


def test_a_reader_gets_the_first_result_at_once() -> None:
    """It does not wait for a second one."""
    held = threading.Event()

    def fault(prompt: str, _: int) -> None:
        if prompt == "1":
            held.wait(30)

    with serving(Echo(fault)) as server:
        records = [Record(number, str(number)) for number in range(2)]
        with run_batch(
            records, Plan(model_id="m", concurrency=2), make_writer=writer_for(server)
        ) as batch:
            began = time.monotonic()
            first = batch.poll(20)
            assert time.monotonic() - began < 10
            assert first is not None
            assert first.index == 0
            assert not batch.is_over
            held.set()
            assert [result.index for result in batch] == [1]
            assert batch.is_over


def test_a_thread_reads_on_while_fewer_than_sixteen_records_wait() -> None:
    """No seventeenth record is read before one of them has its turn."""
    taken: list[int] = []

    def records() -> Iterator[Record]:
        for number in range(100):
            taken.append(number)
            yield Record(number, str(number))

    def fault(*_: object) -> Response:
        response = FAULTS["fault-500"](json_response({}))
        response.headers["retry-after"] = "60"
        return response

    echo = Echo(fault)
    with serving(echo) as server:
        with run_batch(
            records(), Plan(model_id="m", concurrency=1), make_writer=writer_for(server)
        ) as batch:
            echo.wait_for_requests(16)
            assert not batch.wait(0.1)
            assert batch.bound == "16 waiting to be tried again"
        threads = [thread for thread in threading.enumerate() if thread.name == "batch-0"]
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()  # the end of the block has ended its wait
        assert len(taken) == 16


def test_a_stopped_batch_ends_while_its_input_is_still_read() -> None:
    """Once the last request is answered, it does not wait for the thread that reads."""
    goes_on = threading.Event()

    def records() -> Iterator[Record]:
        yield Record(0, "0")
        goes_on.wait(30)

    with (
        serving(Echo()) as server,
        run_batch(
            records(), Plan(model_id="m", concurrency=2), make_writer=writer_for(server)
        ) as batch,
    ):
        first = batch.poll(20)
        assert first is not None
        batch.stop()
        has_ended = batch.wait(10)
        goes_on.set()
    assert has_ended
