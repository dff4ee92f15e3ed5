"""What a batch says of its speed, and how a wall and an outage hold it, on a clock of its own."""

import threading

import pytest

from writer_cli.batch.counting import Ticket
from writer_cli.batch.limits import Pace
from writer_cli.batch.wall import Wall


class Clock(threading.Event):
    """A clock that moves only when somebody waits, and notes how long."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.naps: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Move the clock."""
        assert timeout is not None
        self.naps.append(timeout)
        self.now += timeout
        return self.is_set()

    def pace(self, *, rpm: float | None = None, tpm: float | None = None) -> Pace:
        """Return a pace on this clock."""
        return Pace(rpm=rpm, tpm=tpm, stop=self, clock=lambda: self.now)


def test_a_stated_limit_is_used_to_99_percent() -> None:
    """Requests are evenly spaced, and a thread that waits looks four times a second."""
    clock = Clock()
    pace = clock.pace(rpm=60)
    assert pace.bound() == ""
    assert [pace.acquire(0).at for _ in range(3)] == pytest.approx([0, 1 / 0.99, 2 / 0.99])
    assert max(clock.naps) == 0.25
    assert pace.bound() == "limited by --rpm"
    clock = Clock()
    pace = clock.pace(tpm=60, rpm=6000)
    assert [pace.acquire(2).at for _ in range(2)] == pytest.approx([0, 2 / 0.99])
    assert pace.bound() == "limited by --tpm"
    clock.now += 100
    pace.acquire(2)
    assert pace.bound() == ""


@pytest.mark.parametrize(
    ("is_network", "bound"),
    [(True, "no connection, probing"), (False, "server overloaded, probing")],
)
def test_an_outage_is_what_bounds_the_speed(*, is_network: bool, bound: str) -> None:
    """Five first failures within a second or more are one, and its probes have their times."""
    clock = Clock()
    pace = clock.pace()
    tickets = [pace.acquire(0) for _ in range(6)]
    found = [
        pace.failed(ticket, is_first_attempt=True, is_network=is_network) for ticket in tickets[:4]
    ]
    clock.now = 1.0
    assert pace.bound() == ""
    found.append(pace.failed(tickets[4], is_first_attempt=True, is_network=is_network))
    assert found == [False] * 4 + [True]
    assert pace.bound() == bound
    assert pace.acquire(0).at == 1.5
    pace.answered(tickets[5])
    assert pace.bound() == ""


def test_a_wall_is_told_unless_it_is_short() -> None:
    """A wait of more than 0.3 s is told in whole seconds."""
    clock = Clock()
    pace = clock.pace()
    for ticket in [pace.acquire(0) for _ in range(16)]:
        pace.refused(ticket, 30)
    assert pace.bound() == "waiting 30 s, as the server asks"
    clock.now = 29.5
    assert pace.bound() == "waiting 1 s, as the server asks"
    clock.now = 29.75
    assert "waiting" not in pace.bound()
    assert pace.acquire(0).at == pytest.approx(30)


def test_a_learned_rate_is_told_when_it_bounds_the_speed() -> None:
    """It is told in requests a minute."""
    clock = Clock()
    pace = clock.pace()
    pace.refused(pace.acquire(0), 1)
    pace._pacing.rate = 2.0  # noqa: SLF001 - as if it had been learned
    assert pace.bound() == ""
    pace.acquire(0)
    pace.acquire(0)
    assert pace.bound().startswith("limited by the server to 1")


def test_a_correction_of_tokens_moves_the_next_request() -> None:
    """An answer of fewer tokens lets the next request go earlier."""
    clock = Clock()
    pace = clock.pace(tpm=60 / 0.99)
    assert pace.acquire(10) == Ticket(1, 0)
    pace.settle(10, 4)
    assert pace.acquire(1).at == pytest.approx(4)


@pytest.mark.parametrize(
    ("usual", "enough"), [(0.0, 4), (0.05, 4), (0.5, 17), (0.82, 59), (0.9, 59)]
)
def test_so_many_refusals_are_a_wall(usual: float, enough: int) -> None:
    """They follow each other without a gap; where many are refused anyway, it takes more."""
    wall = Wall(0.0)
    assert [wall.is_found(number, usual) for number in range(1, enough)] == [False] * (enough - 1)
    assert wall.is_found(enough, usual)
    assert wall.found == enough
    wall = Wall(0.0)
    wall.is_found(0, usual)
    found = [wall.is_found(number, usual) for number in range(2, enough + 2)]
    assert found == [False] * (enough - 1) + [True]


def test_a_wall_holds_for_as_long_as_the_server_asks_or_as_seems_right() -> None:
    """Without a word of the server that is a quarter of its age, from 1 s to 30 s."""
    wall = Wall(5.0)
    assert (wall.is_up, wall.held_until, wall.hold_ended) == (False, 5, 5)
    wall.hold(10.0, 7.0)
    assert (wall.is_up, wall.held_until, wall.hold_ended) == (True, 17, 17)
    wall.hold(10.0, 3.0)
    assert wall.held_until == 17
    for now, until in ((20.0, 22.5), (22.0, 25.0), (50.0, 60.0), (210.0, 240.0)):
        wall.hold(now, None)
        assert (wall.held_until, wall.hold_ended) == (until, until)
    young = Wall(0.0)
    young.hold(10.0, None)
    assert young.held_until == 11


def test_one_request_looks_whether_a_wall_still_stands() -> None:
    """The next ones wait until it would be known that it was refused; its answer is news."""
    wall = Wall(0.0)
    wall.hold(10.0, 5.0)
    assert not wall.is_news(7)
    assert wall.is_passed_by(7, 15.0, 2.0) is False
    assert wall.held_until == 21.05
    assert wall.hold_ended == 15
    assert [wall.is_news(number) for number in (6, 7, 8)] == [False, True, True]
    assert wall.is_passed_by(8, 22.0, 2.0) is True
    wall.end(16.0)
    assert (wall.is_up, wall.held_until, wall.found) == (False, 16, 0)
    assert not wall.is_news(9)
    wall.end(99.0)
    assert wall.held_until == 16
    wall.hold(20.0, 5.0)
    wall.is_passed_by(9, 25.0, 1.0)
    wall.hold(30.0, 5.0)
    assert not wall.is_news(9)  # another probe is needed
