"""Simulated servers for a batch, as rows of a table: what each allows, and what must be used."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.batch.simulation import (
    DICE,
    MINUTE,
    NOTHING_SAID,
    AtATime,
    Bucket,
    Changing,
    Log,
    Noise,
    Saying,
    Server,
    Shared,
    SlidingLog,
    Window,
    exactly,
    in_whole_seconds,
    not_at_all,
    simulate,
)

WARM_UP = 60
"""Seconds that are not counted."""


def _never(_: float) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table.

    Attributes:
        name: The behaviour of the server.
        server: Returns the server.
        allowed: The requests or tokens per second that the server allows at a time.
        least: The smallest part of that which must be used, 0 to 1.
        most_refused: The largest part of the requests that may be refused; None for no limit.
        threads: The number of threads of each sender.
        answer_takes: Seconds until an answer.
        refusal_takes: Seconds until a refusal.
        senders: How many batches share the limit.
        has_tokens: Whether requests need 50 to 1,000 tokens each, and these are counted.
        is_out: Whether the server is down at a time.
        minutes: The length of the simulation.
    """

    name: str
    server: Callable[[], Server]
    allowed: Callable[[float], float]
    least: float = 0.95
    most_refused: float | None = 0.05
    threads: int = 32
    answer_takes: float = 1.0
    refusal_takes: float = 0.05
    senders: int = 1
    has_tokens: bool = False
    is_out: Callable[[float], bool] = _never
    minutes: float = 31


@dataclass(frozen=True)
class Figures:
    """The results of a row: parts of what was allowed, and of what was sent."""

    goodput: float
    refused: float
    shares: list[float]
    logs: list[Log]


def measured(row: Row, seed: int = 1) -> Figures:
    """Simulate a row; the answers take up to 10 % more or less time than it says."""
    seconds = int(row.minutes * MINUTE)
    logs = simulate(
        row.server(),
        seconds,
        threads=row.threads,
        answer_takes=lambda: row.answer_takes * DICE.uniform(0.9, 1.1),
        refusal_takes=row.refusal_takes,
        tokens=lambda: float(DICE.randint(50, 1000)) if row.has_tokens else 0.0,
        is_out=row.is_out,
        senders=row.senders,
        seed=seed,
    )
    allowed = sum(row.allowed(second) for second in range(WARM_UP, seconds))
    answered = [sum((log.tokens if row.has_tokens else log.answered)[WARM_UP:]) for log in logs]
    refused = sum(sum(log.refused[WARM_UP:]) for log in logs)
    sent = refused + sum(sum(log.answered[WARM_UP:]) for log in logs)
    shares = [part / allowed for part in answered]
    return Figures(sum(shares), refused / max(1, sent), shares, logs)


def _steadily(per_minute: float) -> Callable[[float], float]:
    return lambda _: per_minute / 60


SAYINGS: dict[str, Saying] = {
    "exact": exactly,
    "in whole seconds": in_whole_seconds,
    "none": not_at_all,
}

STEADY = [
    *(
        Row(
            name=f"bucket of 600 a minute, burst {burst}, Retry-After {name}",
            server=partial(Bucket, 10, burst, say),
            allowed=_steadily(600),
            minutes=16,
        )
        for burst in (1, 10, 100, 600)
        for name, say in SAYINGS.items()
    ),
    Row(name="window of 600 a minute", server=partial(Window, 600), allowed=_steadily(600)),
    Row(
        name="window of 600 a minute, Retry-After none",
        server=partial(Window, 600, say=not_at_all),
        allowed=_steadily(600),
        least=0.9,
    ),
    Row(name="window of 10 a second", server=partial(Window, 10, 1.0), allowed=_steadily(600)),
    Row(
        name="sliding log of 600 a minute",
        server=partial(SlidingLog, 600),
        allowed=_steadily(600),
        least=0.93,
    ),
    Row(
        name="25,000 tokens a minute, untold, answers of 50 to 1,000",
        server=partial(Bucket, 25_000 / 60, 25_000, in_whole_seconds, is_of_tokens=True),
        allowed=_steadily(25_000),
        has_tokens=True,
    ),
    Row(
        name="8 at a time, Retry-After none",
        server=lambda: AtATime(8, lambda: 1.0),
        allowed=lambda _: 8.0,
    ),
    Row(
        name="6,000 a minute, 256 threads",
        server=partial(Bucket, 100, 100, in_whole_seconds),
        allowed=_steadily(6000),
        threads=256,
        minutes=5,
    ),
    Row(
        name="60,000 a minute, answers in 20 ms",
        server=partial(Bucket, 1000, 1000, in_whole_seconds),
        allowed=_steadily(60_000),
        answer_takes=0.02,
        refusal_takes=0.01,
        minutes=1.75,
    ),
    Row(
        name="10 a minute",
        server=partial(Bucket, 1 / 6, 10, in_whole_seconds),
        allowed=_steadily(10),
        least=0.9,
        most_refused=0.1,
    ),
    Row(
        name="60 a minute, 8 threads",
        server=partial(Bucket, 1, 1, in_whole_seconds),
        allowed=_steadily(60),
        threads=8,
    ),
    Row(
        name="400 a minute, answers in 20 s, 256 threads",
        server=partial(Bucket, 400 / 60, 10, in_whole_seconds),
        allowed=_steadily(400),
        threads=256,
        answer_takes=20.0,
    ),
]

NOISY = [
    *(
        Row(
            name=f"random 429, {part:.0%}, Retry-After {'1' if wait > 0 else 'none'}",
            server=partial(Noise, part, wait),
            allowed=lambda _: 32.0,
            least=0.9,
            most_refused=None,
            minutes=16,
        )
        for part in (0.01, 0.05, 0.1)
        for wait in (1.0, NOTHING_SAID)
    ),
    Row(
        name="random 429, 7%, 16 threads, answers in 50 ms",
        server=partial(Noise, 0.07, 1.0),
        allowed=lambda _: 320.0,
        least=0.8,
        most_refused=None,
        threads=16,
        answer_takes=0.05,
        refusal_takes=0.01,
        minutes=5,
    ),
]

CHANGING = [
    Row(
        name="600, 1,200, 300 a minute, two minutes each",
        server=lambda: Changing((10, 20, 5), 120, Bucket(10, 10, in_whole_seconds)),
        allowed=lambda now: (10.0, 20.0, 5.0)[int(now / 120) % 3],
        least=0.93,
    ),
    Row(
        name="another client takes half, three minutes on and off",
        server=lambda: Shared(
            Bucket(10, 10, in_whole_seconds), lambda now: 5.0 if int(now / 180) % 2 else 0.0
        ),
        allowed=lambda now: 5.0 if int(now / 180) % 2 else 10.0,
        least=0.93,
        most_refused=None,
    ),
    Row(
        name="another client asks for twice the limit: part of the fair half",
        server=lambda: Shared(Bucket(10, 10, in_whole_seconds), lambda _: 20.0),
        allowed=_steadily(300),
        least=0.5,
        most_refused=None,
    ),
]

OUTAGE = Row(
    name="503 to everything for 20 s, every two minutes",
    server=partial(Bucket, 1e9, 1e9),
    allowed=lambda now: 0.0 if now % 120 >= 100 else 32.0,
    least=0.9,
    is_out=lambda now: now % 120 >= 100,
)

SHARDS = Row(
    name="four shards on 600 a minute, 8 threads each",
    server=partial(Bucket, 10, 10, in_whole_seconds),
    allowed=_steadily(600),
    least=0.97,
    threads=8,
    senders=4,
)

ROWS = [*STEADY, *NOISY, *CHANGING, OUTAGE, SHARDS]


def part_after_outages(log: Log) -> float:
    """Return the smallest part of 32 a second that was answered after an outage's first 5 s."""
    ends = range(120, len(log.answered) - 60, 120)
    return min(log.rate(end + 5, end + 35) for end in ends) / 32
