"""A batch and a server in simulated time: half an hour of sending takes a fraction of a second.

The sender is the object that paces real batches; only the clock, the threads and the server are
simulated. Nothing sleeps and no thread is started.
"""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from writer_cli.batch.counting import Ticket
from writer_cli.batch.pacing import Pacing

MINUTE = 60.0

NOTHING_SAID: float = -1.0
"""A refusal without a `Retry-After`."""

REFUSAL_TAKES = 0.05
"""Seconds until a request is refused: a gateway refuses at once."""


class Server(Protocol):
    """A simulated server that decides on each request."""

    def refusal(self, now: float, tokens: float, /) -> float | None:
        """Return None to answer, seconds of `Retry-After`, or `NOTHING_SAID`.

        `now` never goes back.
        """


def exactly(seconds: float) -> float:
    """Return the wait without rounding."""
    return seconds


def in_whole_seconds(seconds: float) -> float:
    """Return the wait as most servers do: whole seconds, at least 1."""
    return max(1.0, math.ceil(seconds))


def not_at_all(_: float) -> float:
    """Return no wait."""
    return NOTHING_SAID


Saying = Callable[[float], float]

DICE = Random()  # noqa: S311 - a simulation
"""The random numbers of a simulation; `simulate` sets the seed."""


@dataclass
class Bucket:
    """A token bucket: `per_second` on average, `burst` at once after a pause."""

    per_second: float
    burst: float
    say: Saying = exactly
    is_of_tokens: bool = False
    filled: float = 0.0
    at: float = 0.0

    def __post_init__(self) -> None:
        self.filled = self.burst

    def refusal(self, now: float, tokens: float, /) -> float | None:
        """Take the cost of a request if the bucket has enough."""
        cost = tokens if self.is_of_tokens else 1.0
        filled = self.filled + (now - self.at) * self.per_second
        self.filled = min(self.burst, filled)
        self.at = now
        if self.filled < cost - 1e-9:
            return self.say((cost - self.filled) / self.per_second)
        self.filled -= cost
        return None


@dataclass
class Window:
    """Answers `most` in each fixed window of `length` seconds."""

    most: int
    length: float = MINUTE
    say: Saying = exactly
    number: int = -1
    count: int = 0

    def refusal(self, now: float, _tokens: float, /) -> float | None:
        """Count the request in its window."""
        number = int(now // self.length)
        if number != self.number:
            self.number, self.count = number, 0
        if self.count < self.most:
            self.count += 1
            return None
        return self.say((number + 1) * self.length - now)


@dataclass
class SlidingLog:
    """Answers `most` in any `length` seconds."""

    most: int
    length: float = MINUTE
    say: Saying = exactly
    times: deque[float] = field(default_factory=deque)

    def refusal(self, now: float, _tokens: float, /) -> float | None:
        """Count the requests of the last `length` seconds."""
        while self.times and self.times[0] <= now - self.length:
            self.times.popleft()
        if len(self.times) < self.most:
            self.times.append(now)
            return None
        return self.say(self.times[0] + self.length - now)


@dataclass
class AtATime:
    """Answers `most` at a time; each takes `seconds()`."""

    most: int
    seconds: Callable[[], float]
    ends: list[float] = field(default_factory=list)

    def refusal(self, now: float, _tokens: float, /) -> float | None:
        """Count the requests that are under way."""
        while self.ends and self.ends[0] <= now:
            heapq.heappop(self.ends)
        if len(self.ends) >= self.most:
            return NOTHING_SAID
        heapq.heappush(self.ends, now + self.seconds())
        return None


@dataclass
class Noise:
    """Refuses a random part of all requests, at any rate."""

    part: float
    wait: float

    def refusal(self, _now: float, _tokens: float, /) -> float | None:
        """Decide at random."""
        return self.wait if DICE.random() < self.part else None


@dataclass
class Changing:
    """A bucket whose rate changes every `each` seconds, in turn."""

    rates: Sequence[float]
    each: float
    bucket: Bucket

    def refusal(self, now: float, tokens: float, /) -> float | None:
        """Choose the bucket by the time."""
        bucket = self.bucket
        bucket.per_second = self.rates[int(now / self.each) % len(self.rates)]
        return bucket.refusal(now, tokens)


@dataclass
class Shared:
    """A limit that another client uses too, at its own times."""

    limit: Server
    per_second: Callable[[float], float]
    next_at: float = 0.0

    def refusal(self, now: float, tokens: float, /) -> float | None:
        """Count the requests of the other client until now first."""
        while self.next_at <= now:
            rate = self.per_second(self.next_at)
            if rate:
                self.limit.refusal(self.next_at, tokens)
                self.next_at += (0.5 + DICE.random()) / rate
            else:
                self.next_at += 1.0
        return self.limit.refusal(now, tokens)


@dataclass
class Log:
    """A server's counts of one sender per second: answered, refused and failed."""

    answered: list[int]
    refused: list[int]
    failed: list[int]
    tokens: list[float]

    def add(self, second: int, wait: float | None, tokens: float, *, is_failure: bool) -> None:
        """Count a request."""
        if is_failure:
            self.failed[second] += 1
        elif wait is not None:
            self.refused[second] += 1
        else:
            self.answered[second] += 1
            self.tokens[second] += tokens

    def rate(self, start: float, end: float) -> float:
        """Return the average number of answers in a second."""
        return sum(self.answered[int(start) : int(end)]) / (end - start)


@dataclass(order=True)
class _Event:
    """An answer, a refusal or a failure that a sender will receive."""

    at: float
    number: int
    sender: "_Sender" = field(compare=False)
    ticket: Ticket = field(compare=False)
    wait: float | None = field(compare=False)
    """None for an answer; see `Server.refusal`."""
    is_failure: bool = field(compare=False)
    tokens: float = field(compare=False)
    attempts: int = field(compare=False)


class _Sender:
    """One batch: its pacing, the number of its threads, and the requests to retry."""

    def __init__(self, threads: int, seconds: int, tokens: Callable[[], float]) -> None:
        self.pacing = Pacing()
        self.free = threads
        self.asked_at = 0.0
        self.new_tokens = tokens
        self.tokens, self.attempts = tokens(), 1
        self.waiting: list[tuple[float, int, float, int]] = []
        """The requests to retry: time, number, tokens, attempts."""
        self.log = Log(*([0] * (seconds + 1) for _ in range(4)))  # type: ignore[arg-type]

    def start(self, now: float) -> float:
        """Return the time when the next request may be sent."""
        if not self.free:
            return math.inf
        return max(now, self.pacing.next_start(self.asked_at))

    def send(self, now: float) -> Ticket:
        """Send a request: a retry whose wait is over, or a new one."""
        ticket = self.pacing.sent(self.asked_at, now)
        self.free -= 1
        self.asked_at = now
        if self.waiting and self.waiting[0][0] <= now:
            _, _, self.tokens, self.attempts = heapq.heappop(self.waiting)
        else:
            self.tokens, self.attempts = self.new_tokens(), 1
        return ticket

    def receive(self, event: _Event) -> None:
        """Tell the pacing the outcome, and let a refused request wait."""
        now = event.at
        if not self.free:
            self.asked_at = now
        self.free += 1
        if event.is_failure:
            is_first = event.attempts == 1
            self.pacing.failed(now, event.ticket, is_first_attempt=is_first)
        elif event.wait is None:
            self.pacing.answered(now, event.ticket)
        else:
            pause: float | None = event.wait
            if pause == NOTHING_SAID:
                pause = None
            self.pacing.refused(now, event.ticket, pause)
            if pause is None:
                pause = min(60.0, 2.0 ** (event.attempts - 1)) * (1 + 0.25 * DICE.random())
            again = now + pause, event.number, event.tokens, event.attempts + 1
            heapq.heappush(self.waiting, again)


def simulate(
    server: Server,
    seconds: float,
    *,
    threads: int = 32,
    answer_takes: Callable[[], float] = lambda: 1.0,
    refusal_takes: float = REFUSAL_TAKES,
    tokens: Callable[[], float] = lambda: 0.0,
    is_out: Callable[[float], bool] = lambda _: False,
    senders: int = 1,
    seed: int = 1,
) -> list[Log]:
    """Simulate senders and a server for some seconds; return the server's log of each sender.

    Args:
        server: Decides on each request.
        seconds: The length of the simulation.
        threads: The largest number of requests of a sender at the same time.
        answer_takes: Returns the seconds until an answer; called once for each.
        refusal_takes: Seconds until a refusal or a failure.
        tokens: Returns the tokens of the next request, which are also its estimate.
        is_out: Whether the server fails every request at a time.
        senders: The number of batches that share the limit.
        seed: The seed of all random numbers.
    """
    DICE.seed(seed)
    everybody = [_Sender(threads, int(seconds), tokens) for _ in range(senders)]
    events: list[_Event] = []
    now = 0.0
    for number in itertools.count():
        while True:
            sender = min(everybody, key=lambda one: one.start(now))
            start = sender.start(now)
            if not events or start < events[0].at:
                break
            event = heapq.heappop(events)
            now = event.at
            if now >= seconds:
                break
            event.sender.receive(event)
        now = max(now, min(start, seconds))
        if now >= seconds:
            break
        size, attempts, is_failure = sender.tokens, sender.attempts, is_out(now)
        ticket = sender.send(now)
        wait = None if is_failure else server.refusal(now, size)
        takes = answer_takes() if wait is None and not is_failure else refusal_takes
        sender.log.add(int(now), wait, size, is_failure=is_failure)
        event = _Event(now + takes, number, sender, ticket, wait, is_failure, size, attempts)
        heapq.heappush(events, event)
    return [sender.log for sender in everybody]
