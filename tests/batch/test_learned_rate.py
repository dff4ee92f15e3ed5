"""The rate that a batch learns from refusals, simulated against every kind of server."""

from random import Random

import pytest

from tests.batch.scenarios import OUTAGE, ROWS, SHARDS, Row, measured, part_after_outages
from writer_cli.batch.counting import Ticket
from writer_cli.batch.pacing import Pacing


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_most_of_the_limit_of_a_server_is_used(row: Row) -> None:
    """From the second minute on most of the limit is used, and few requests are refused."""
    figures = measured(row)
    assert figures.goodput >= row.least
    assert row.most_refused is None or figures.refused <= row.most_refused


def test_an_outage_is_over_soon_after_its_end() -> None:
    """Five seconds after an outage 90 % are answered; during it only few probes are sent."""
    figures = measured(OUTAGE)
    assert part_after_outages(figures.logs[0]) >= 0.9
    assert max(sum(figures.logs[0].failed[at + 5 : at + 20]) for at in range(100, 1800, 120)) <= 20


def test_shards_share_a_limit() -> None:
    """Four batches that share a limit get about a quarter each."""
    assert all(0.18 <= share <= 0.32 for share in measured(SHARDS).shares)


def test_a_late_refusal_does_not_count_twice() -> None:
    """Thirty requests that are refused at the same time count as one refusal."""
    pacing = Pacing()
    tickets = [pacing.sent(0.0, 0.0) for _ in range(30)]
    for ticket in tickets:
        pacing.refused(0.1, ticket, 5.0)
    assert pacing.wall.held_until == pytest.approx(5.1)


def test_a_learned_rate_has_a_floor() -> None:
    """However many requests are refused, at least one a minute is sent."""
    pacing, now = Pacing(), 0.0
    for _ in range(3000):
        now = max(now, pacing.next_start(now))
        pacing.refused(now + 0.01, pacing.sent(now, now), None)
        now += 0.01
    assert pacing.rate is not None
    assert pacing.next_start(now) - now <= 60


@pytest.mark.parametrize("seed", range(20))
def test_no_server_stops_the_batch_for_ever(seed: int) -> None:
    """Whatever the server answers, the next request is sent within five minutes."""
    chance = Random(seed)  # noqa: S311 - a made-up server
    pacing, now = Pacing(), 0.0
    under_way: list[Ticket] = []
    refused, failed = 0.0, 0.0
    for step in range(4000):
        if step % 200 == 0:  # the server's behaviour changes
            refused, failed = chance.choice([0, 0, 0.02, 0.3, 0.9]), chance.choice([0, 0, 0, 1])
            threads = chance.choice([1, 8, 32])
        start = pacing.next_start(now)
        assert start - now <= 300
        if not under_way or (start <= now and len(under_way) < threads):
            now = max(now, start)
            under_way.append(pacing.sent(now, now))
        else:
            now += chance.choice([0.001, 0.05, 1.0])
            ticket = under_way.pop(0)
            fate = chance.random()
            if fate < refused:
                pacing.refused(now, ticket, chance.choice([None, None, 1.0, 20.0]))
            elif fate < refused + failed:
                pacing.failed(now, ticket, is_first_attempt=chance.random() < 0.5)
            else:
                pacing.answered(now, ticket)
    assert pacing.rate is None or pacing.rate > 0
