"""The limits that a batch is given, in simulated time."""

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Protocol

import pytest

from writer_cli.batch.counting import Ticket
from writer_cli.batch.limits import Pace, StoppedError

MINUTE = 60.0


class Limit(Protocol):
    """A server's limit, which returns None for a request that it allows, or the wait."""

    def refusal(self, now: float) -> float | None:
        """Count a request; return None or the seconds to wait."""


@dataclass
class Bucket:
    """A token bucket with a rate and a burst."""

    per_second: float
    size: float
    filled: float = 0.0
    at: float = 0.0

    def refusal(self, now: float) -> float | None:
        """Fill the bucket, and take one out if there is one."""
        self.filled = min(self.size, self.filled + (now - self.at) * self.per_second)
        self.at = now
        if self.filled < 1:
            return max(1.0, round((1 - self.filled) / self.per_second + 0.5))
        self.filled -= 1
        return None


@dataclass
class Window:
    """Allows this many requests in each minute of the clock."""

    a_minute: int
    says_when: bool = True
    minute: int = -1
    count: int = 0

    def refusal(self, now: float) -> float | None:
        """Count the request in its minute."""
        minute = int(now // MINUTE)
        if minute != self.minute:
            self.minute, self.count = minute, 0
        if self.count < self.a_minute:
            self.count += 1
            return None
        return (minute + 1) * MINUTE - now if self.says_when else 1.0


class SimulatedTime(threading.Event):
    """A clock that moves when somebody waits, with events at given times."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, time: float, happen: Callable[[], None]) -> None:
        """Add an event at a time."""
        self._count += 1
        heapq.heappush(self._events, (time, self._count, happen))

    def wait(self, timeout: float | None = None) -> bool:
        """Move the clock forward by these seconds, or to the next event."""
        until = self._events[0][0] if timeout is None else self.now + timeout
        while self._events and self._events[0][0] <= until and not self.is_set():
            self.now, _, happen = heapq.heappop(self._events)
            happen()
        self.now = max(self.now, until)
        return self.is_set()


@dataclass
class Traffic:
    """The requests that a simulated server saw: their times, and whether they were refused."""

    requests: list[tuple[float, bool]] = field(default_factory=list)

    def after(self, start: float, seconds: float) -> tuple[float, float]:
        """Return the allowed requests per minute, and the part that was refused."""
        seen = [refused for time, refused in self.requests if start <= time < start + seconds]
        return seen.count(False) / seconds * MINUTE, seen.count(True) / len(seen)

    def busiest(self, seconds: float) -> int:
        """Return the largest number of requests in any period of this length."""
        times = [time for time, _ in self.requests]
        first, most = 0, 0
        for last, time in enumerate(times):
            while time - times[first] >= seconds:
                first += 1
            most = max(most, last + 1 - first)
        return most


def simulate(
    limit: Limit,
    seconds: float,
    *,
    rpm: float | None = None,
    tpm: float | None = None,
    tokens: Callable[[], float] = lambda: 0.0,
    jitter: float = 0.0,
    concurrency: int = 64,
) -> Traffic:
    """Send as fast as the pace allows to a server that answers after half a second."""
    clock = SimulatedTime()
    pace = Pace(rpm=rpm, tpm=tpm, stop=clock, clock=lambda: clock.now)
    traffic, random, in_flight = Traffic(), Random(1), 0  # noqa: S311 - a simulation

    def arrive(ticket: Ticket) -> None:
        wait = limit.refusal(clock.now)
        traffic.requests.append((clock.now, wait is not None))
        clock.at(clock.now + 0.5, lambda: answer(ticket, wait))

    def answer(ticket: Ticket, wait: float | None) -> None:
        nonlocal in_flight
        in_flight -= 1
        if wait is None:
            pace.answered(ticket)
        else:
            pace.refused(ticket, wait)

    while clock.now < seconds:
        while in_flight == concurrency:
            clock.wait()
        ticket = pace.acquire(tokens())
        in_flight += 1
        clock.at(ticket.at + jitter * random.random(), partial(arrive, ticket))
    return traffic


LIMITS = [
    pytest.param(60, lambda: Bucket(1, 1), id="a bucket of 60 a minute without a burst"),
    pytest.param(60, lambda: Bucket(1, 60), id="a bucket of 60 a minute with a minute's burst"),
    pytest.param(600, lambda: Bucket(10, 10), id="a bucket of 600 a minute"),
    pytest.param(1800, lambda: Bucket(30, 30), id="a bucket of 1800 a minute"),
    pytest.param(60, lambda: Window(60), id="a window of 60 a minute"),
    pytest.param(600, lambda: Window(600), id="a window of 600 a minute"),
]


@pytest.mark.parametrize(("a_minute", "limit"), LIMITS)
def test_a_stated_limit_is_used_and_never_exceeded(
    a_minute: int, limit: Callable[[], Limit]
) -> None:
    """97 % of the limit are sent, and none is refused, though some requests arrive late."""
    traffic = simulate(limit(), 31 * MINUTE, rpm=a_minute, jitter=0.005)
    let_through, refused = traffic.after(MINUTE, 30 * MINUTE)
    assert let_through >= 0.97 * a_minute
    assert refused == 0


def test_without_a_limit_nothing_waits() -> None:
    """Without a limit only the server's time and the number of threads count."""
    unlimited = Bucket(1e9, 1e9, filled=1e9)
    assert simulate(unlimited, 10.0, concurrency=8).after(0.0, 10.0) == (8 * 2 * MINUTE, 0.0)


def test_a_stated_rate_has_no_burst() -> None:
    """600 requests a minute are at most 10 in any second, from the first one on."""
    assert simulate(Bucket(1e9, 1e9, filled=1e9), 300.0, rpm=600).busiest(1.0) == 10


def test_tokens_are_limited_too() -> None:
    """Each minute keeps both limits, and a large request causes no burst of small ones."""
    random = Random(2)  # noqa: S311 - a simulation
    sizes: list[float] = []

    def tokens() -> float:
        sizes.append(3000.0 if random.random() < 0.02 else 10.0)
        return sizes[-1]

    traffic = simulate(Bucket(1e9, 1e9, filled=1e9), 3600.0, rpm=120, tpm=6000, tokens=tokens)
    used = sum(sizes[: len(traffic.requests)])
    assert 0.6 * 6000 * 60 <= used <= 6000 * 60 + 3000
    assert traffic.busiest(1.0) <= 2
    assert traffic.busiest(MINUTE) <= 120


def test_tokens_are_counted_as_they_turn_out() -> None:
    """The estimate of a request's tokens is corrected by its answer."""
    clock = SimulatedTime()
    pace = Pace(tpm=60 / 0.99, stop=clock, clock=lambda: clock.now)
    pace.acquire(10)
    pace.settle(10, 4)
    assert pace.acquire(10).at == pytest.approx(4)
    pace.settle(10, 20)
    assert pace.acquire(10).at == pytest.approx(24)


def test_a_correction_without_a_limit_on_tokens_is_nothing() -> None:
    """Without `tpm` the number of tokens has no effect."""
    clock = SimulatedTime()
    pace = Pace(stop=clock, clock=lambda: clock.now)
    pace.settle(10, 1000)
    assert pace.acquire(1000).at == 0


def wall(pace: Pace, seconds: float) -> None:
    """Refuse as many requests at once as make the pace hold all of them."""
    for ticket in [pace.acquire(0) for _ in range(16)]:
        pace.refused(ticket, seconds)


def test_many_refusals_hold_a_request_that_waits_already() -> None:
    """A request that waits for its turn also waits for the time that the refusals ask for."""
    clock = SimulatedTime()
    pace = Pace(rpm=60, stop=clock, clock=lambda: clock.now)
    tickets = [pace.acquire(0) for _ in range(16)]
    sent_at = clock.now

    def refuse() -> None:
        for ticket in tickets:
            pace.refused(ticket, 30)

    clock.at(sent_at + 0.5, refuse)
    assert pace.acquire(0).at == pytest.approx(sent_at + 30.5)


def test_a_single_refusal_holds_no_other_request() -> None:
    """After a single refusal the pace lets other requests through."""
    clock = SimulatedTime()
    pace = Pace(stop=clock, clock=lambda: clock.now)
    pace.refused(pace.acquire(0), 30)
    assert pace.bound() == ""
    assert pace.acquire(0).at < 0.1


def test_a_hold_keeps_the_limit_of_tokens() -> None:
    """After a short hold the limit of tokens still counts the tokens before."""
    clock = SimulatedTime()
    pace = Pace(tpm=60 / 0.99, stop=clock, clock=lambda: clock.now)
    ticket = pace.acquire(100)
    pace.refused(ticket, 1)
    assert pace.acquire(1).at == pytest.approx(100)


def test_waking_late_does_not_add_up() -> None:
    """If every wait takes a little too long, the rate is kept all the same."""

    class Sluggish(SimulatedTime):
        def wait(self, timeout: float | None = None) -> bool:
            return super().wait(None if timeout is None else timeout + 0.03)

    clock = Sluggish()
    pace = Pace(rpm=600 / 0.99, stop=clock, clock=lambda: clock.now)
    times = [pace.acquire(0).at for _ in range(1001)]
    assert times[-1] == pytest.approx(100, abs=0.1)


def test_a_stop_ends_every_wait() -> None:
    """All threads that wait for their turn end when the batch stops."""
    stop = threading.Event()
    pace = Pace(stop=stop)
    wall(pace, 3600)
    ended: list[int] = []

    def wait(number: int) -> None:
        with pytest.raises(StoppedError):
            pace.acquire(0)
        ended.append(number)

    threads = [threading.Thread(target=wait, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    stop.set()
    for thread in threads:
        thread.join(30)
    assert sorted(ended) == [0, 1, 2]
