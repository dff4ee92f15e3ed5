"""A trial of a lower rate: the evidence that ends it, and the first steps of a learned rate."""

import pytest

from writer_cli.batch.pacing import Pacing
from writer_cli.batch.trial import Trial


def trial(
    *,
    sent: int = 0,
    refused: int = 0,
    before: float = 10.0,
    part: float = 0.2,
    measured: bool = True,
) -> Trial:
    """Return a trial that began at 0."""
    return Trial(before, part, 12.0, measured, 0, 0.0, sent, refused)


@pytest.mark.parametrize(
    ("before", "part", "rate"),
    [
        (10.0, 0.0, 7.0),
        (10.0, 0.2, 7.0),
        (10.0, 0.3, 6.3),
        (10.0, 0.6, 3.6),
        (10.0, 0.8, 2.5),
        (20 / 11.25, 0.8, 20 / 45),
        (0.5, 0.3, 0.35),
    ],
)
def test_a_trial_is_slower_than_what_was_let_through(
    before: float, part: float, rate: float
) -> None:
    """It is 90 % of that, within bounds, and fast enough to be clear within 45 s."""
    assert trial(before=before, part=part).rate == pytest.approx(rate)


@pytest.mark.parametrize(
    ("before", "part", "rate"), [(1.77, 0.8, 7.08), (0.5, 0.31, 2.0), (0.1, 0.9, 20 / 45)]
)
def test_a_trial_is_faster_where_a_slower_one_would_take_too_long(
    before: float, part: float, rate: float
) -> None:
    """Where most requests are refused, a low rate is made four times as high, or more."""
    assert trial(before=before, part=part).rate == pytest.approx(rate)


@pytest.mark.parametrize(
    ("sent", "refused", "measured", "verdict"),
    [
        (19, 0, True, None),
        (20, 15, True, "noise"),
        (20, 15, False, "again"),
        (20, 17, True, "ours"),
        (20, 17, False, "again"),
        (20, 20, True, "ours"),
    ],
)
def test_a_faster_trial_finds_noise_if_more_is_let_through(
    sent: int, refused: int, verdict: str | None, *, measured: bool
) -> None:
    """At four times the rate, at least twice as many requests must be let through.

    If the part that was refused before was a guess, the trial only measures it.
    """
    found = trial(before=0.5, part=0.6, sent=sent, refused=refused, measured=measured)
    assert found.verdict(100.0, 0.0) == verdict


@pytest.mark.parametrize(("refused", "verdict"), [(3, "ours"), (4, "again"), (7, "noise")])
def test_the_likelier_explanation_counts_in_the_end(refused: int, verdict: str) -> None:
    """If most requests were refused, an unclear trial ends after 45 s all the same."""
    found = trial(part=0.6, sent=20, refused=refused)
    assert found.verdict(44.9, 0.0) is None
    assert found.verdict(45.0, 0.0) == verdict


def test_what_is_known_of_a_trial() -> None:
    """Requests of the last two delays may still be refused."""
    assert trial(sent=100, refused=5).known(1.0) == 86
    assert trial(sent=100, refused=90).known(1.0) == 90
    assert trial(sent=100, refused=43).let_through(1.0) == pytest.approx(3.5)
    assert trial().let_through(1.0) == 7


@pytest.mark.parametrize(
    ("sent", "refused", "now", "verdict"),
    [
        (42, 0, 1.0, None),
        (43, 0, 1.0, "ours"),
        (20, 0, 44.9, None),
        (20, 0, 45.0, "ours"),
        (19, 0, 45.0, None),
        (20, 5, 1.0, None),
        (20, 5, 45.0, "ours"),
        (20, 6, 1.0, "noise"),
        (20, 6, 45.0, "noise"),
        (19, 6, 1.0, None),
    ],
)
def test_the_evidence_is_weighed_request_by_request(
    sent: int, refused: int, now: float, verdict: str | None
) -> None:
    """If the refusals go away, they are ours; after 45 s they count as ours unless it is clear."""
    assert trial(sent=sent, refused=refused).verdict(now, 0.0) == verdict


@pytest.mark.parametrize(
    ("part", "measured", "sent", "refused", "verdict"),
    [
        (0.3, False, 20, 7, "noise"),
        (0.6, True, 30, 18, "noise"),
        (0.6, False, 30, 18, "again"),
        (0.6, True, 60, 21, "noise"),
        (0.6, True, 60, 19, "again"),
        (1.0, True, 40, 38, "again"),
    ],
)
def test_where_most_are_refused_noise_has_to_cost_something(
    part: float, sent: int, refused: int, verdict: str, *, measured: bool
) -> None:
    """If what is let through does not fall with the rate, another trial is lower."""
    found = trial(part=part, sent=sent, refused=refused, measured=measured)
    assert found.verdict(1.0, 0.0) == verdict


def test_the_first_rate_is_six_times_what_was_sent() -> None:
    """A refusal takes 0.4 requests a second off a high rate, and 4 % off a low one."""
    pacing = Pacing()
    assert (pacing.rate, pacing.next_start(3.0)) == (None, 3.0)
    first = pacing.sent(0.0, 0.0)
    assert tuple(pacing.sent(0.1, 0.1)) == (2, 0.1)
    pacing.refused(0.5, first, 1.0)
    assert pacing.rate == pytest.approx(6 * 2 / 0.5 - 0.4)
    assert pacing._peak == pytest.approx(24)  # noqa: SLF001 - what a fall is measured by
    assert pacing.next_start(0.2) == 0.5
    slow = Pacing()
    slow.refused(100.0, slow.sent(0.0, 0.0), None)
    assert slow.rate == pytest.approx(6 / 60 * 0.96)
    quick = Pacing()
    quick.refused(0.0, quick.sent(0.0, 0.0), None)
    assert quick.rate == pytest.approx(6000 - 0.4)


def test_the_first_rate_looks_at_the_second_before() -> None:
    """A second that has just begun says less."""
    pacing = Pacing()
    for tenth in range(10):
        pacing.sent(tenth / 10, tenth / 10)
    ticket = pacing.sent(1.0, 1.0)
    pacing.refused(1.9, ticket, None)
    assert pacing.rate == pytest.approx(60 - 0.4)


def paced(rate: float) -> Pacing:
    """Return a pacing that has learned a rate, and that has 100 s behind it."""
    pacing = Pacing()
    ticket = pacing.sent(99.9, 99.9)
    pacing.refused(100.0, ticket, None)
    pacing.rate = rate
    pacing._set_peak(100.0)  # noqa: SLF001 - as if the rate had grown so far
    return pacing


def test_requests_are_spaced_by_the_rate() -> None:
    """A request that nobody waited for makes the rate no higher; one that waited does."""
    pacing = paced(20.0)
    pacing.sent(100.0, 100.0)
    assert pacing.rate == 20
    assert pacing.next_start(100.0) == pytest.approx(100.05)
    pacing.sent(100.0, 100.05)
    # The budget is 0.4 % of the requests, and a step 2 % of the rate.
    assert pacing.rate == pytest.approx(20 * (1 + 0.02 * 0.004))
    assert pacing.next_start(100.0) == pytest.approx(100.1)
    pacing.sent(107.0, 107.0)
    assert pacing.next_start(100.0) == pytest.approx(107.05)


@pytest.mark.parametrize(("rate", "budget"), [(20.0, 0.004), (2.0, 0.0125), (0.5, 0.03)])
def test_slow_senders_have_a_larger_budget(rate: float, budget: float) -> None:
    """It is 0.025 refusals a second, from 0.4 % to 3 % of the requests."""
    pacing = paced(rate)
    pacing.sent(100.0, 100.0)
    pacing.sent(100.0, 103.0)
    assert pacing.rate == pytest.approx(rate * (1 + min(0.04, 0.4 / rate) * budget))


def test_the_rate_grows_faster_after_a_calm() -> None:
    """After 80 requests without a refusal, by the square of how long the calm has lasted."""
    pacing, rate = paced(20.0), 20.0
    calm = 0.0
    pacing.sent(100.0, 100.0)
    for _ in range(400):
        pacing.sent(100.0, 100.0)
        calm += min(1.0, 10 / rate)
        more = min(0.8, 0.02 * (max(0.0, calm - 80) / 60) ** 2)
        rate *= 1 + min(0.04, 0.4 / rate) * (0.004 + more)
    assert calm > 150
    assert pacing.rate == pytest.approx(rate)
    # A refusal takes away as much calm as its part of the budget.
    pacing._calm = 300.0  # noqa: SLF001
    pacing.refused(100.0, pacing.sent(200.0, 200.0), None)
    assert pacing._calm == pytest.approx(300 - 1 / 0.004)  # noqa: SLF001


def test_a_rate_that_fell_to_half_is_put_to_a_trial() -> None:
    """The trial knows which part was refused, and what the rate was before."""
    pacing = paced(10.0)
    now, lowest = 100.0, 10.0
    while pacing._trial is None:  # noqa: SLF001
        now += 0.1
        for _ in range(2):
            ticket = pacing.sent(now, now)
        pacing.answered(now, ticket)
        lowest = pacing.rate or 0.0
        pacing.refused(now + 0.05, ticket, None)
        assert now < 110
    found = pacing._trial  # noqa: SLF001
    assert lowest >= 5 > lowest * 0.96
    assert found.before == pytest.approx(20, rel=0.1)
    assert found.part == pytest.approx(0.5, rel=0.05)
    assert found.top == pytest.approx(10, rel=0.01)
    assert not found.is_measured
    assert pacing.rate == pytest.approx(found.rate)
