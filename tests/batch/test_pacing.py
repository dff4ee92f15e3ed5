"""The estimates behind a learned rate, step by step: walls, noise and trials."""
# ruff: noqa: SLF001 - the estimates are known to nobody else

import math

import pytest

from writer_cli.batch.counting import Count
from writer_cli.batch.pacing import Pacing
from writer_cli.batch.trial import Trial


def paced(rate: float = 20.0, *, noise: float = 0.0) -> Pacing:
    """Return a pacing that has learned a rate and a noise until second 100."""
    pacing = Pacing()
    ticket = pacing.sent(99.9, 99.9)
    pacing.refused(100.0, ticket, None)
    pacing.rate, pacing.noise = rate, noise
    pacing._set_peak(100.0)
    pacing._watch = Count(pacing._number, 100.0)
    return pacing


def refusals_until_wall(pacing: Pacing, now: float, retry_after: float | None = None) -> int:
    """Refuse one request after the other, and return how many make a wall."""
    for number in range(1, 100):
        pacing.refused(now + 0.1, pacing.sent(now, now), retry_after)
        if pacing.wall.is_up:
            return number
    raise AssertionError("no wall was found")


@pytest.mark.parametrize(("before", "noise", "enough"), [(0, 0, 9), (20, 0, 4), (20, 0.5, 17)])
def test_a_wall_is_found_by_what_is_refused_usually(before: int, noise: float, enough: int) -> None:
    """Requests that were let through before make few refusals a wall, and noise makes it more."""
    pacing = Pacing()
    for _ in range(before):
        pacing.answered(0.0, pacing.sent(0.0, 0.0))
    pacing.noise, pacing._watch = noise, Count(before, 5.0)
    assert refusals_until_wall(pacing, 5.0) == enough
    assert pacing.next_start(5.0) == pytest.approx(6.1)


@pytest.mark.parametrize(
    ("seconds", "let_through", "refused", "asked", "noise", "rate"),
    [
        (10, 100, 4, 5.0, 0.0, 101 / 15.1),
        (1, 10, 5, 5.0, 0.0, 16 / 6.1),
        (2, 19, 4, 5.0, 0.0, 20 / 7.1),
        (3, 30, 4, 1.0, 0.0, 35 / 4.1),
        (10, 100, 8, 5.0, 0.2, 101 / 15.1 / 0.8),
    ],
)
def test_what_was_let_through_between_two_walls_is_the_rate(  # noqa: PLR0917 - a table
    seconds: int, let_through: int, refused: int, asked: float, noise: float, rate: float
) -> None:
    """Holds count as time; where that is short or little, what was sent counts if it is more."""
    pacing = Pacing()
    for number in range(let_through):
        now = number * seconds / let_through
        pacing.answered(now, pacing.sent(now, now))
    pacing.noise, pacing._watch = noise, Count(let_through, float(seconds))
    assert refusals_until_wall(pacing, float(seconds), asked) == refused
    look_at = seconds + 0.1 + asked
    assert pacing.next_start(0.0) == pytest.approx(look_at)
    probe = pacing.sent(0.0, look_at)
    assert pacing.next_start(0.0) > look_at + 0.3
    pacing.answered(look_at + 0.1, probe)
    assert not pacing.wall.is_up
    assert pacing.rate == pytest.approx(rate)
    assert pacing._peak == pacing.rate
    assert pacing._calm == -(let_through + refused + 1)
    assert pacing._cycle.sent == 0
    assert pacing._cycle.at == pytest.approx(look_at)


@pytest.mark.parametrize(
    ("noise", "cycle_at", "rate", "calm"),
    [(0.5, 0.0, 3.0, 0), (0.31, 0.0, 3.0, 0), (0.3, 0.0, 101 / 105 / 0.7, 0),
     (0.5, 15.0, 3.0, 0), (0.5, 15.1, 3.0, -201)],
)  # fmt: skip
def test_a_wall_tells_no_rate_where_most_is_noise(
    noise: float, cycle_at: float, rate: float, calm: float
) -> None:
    """Then the rate stays; a wall after a minute and a half takes no calm away."""
    pacing = paced(noise=noise)
    pacing.rate = 3.0
    pacing._cycle = Count(0, cycle_at, sent=200, refused=100)
    pacing.wall.hold(100.0, 5.0)
    pacing.answered(105.2, pacing.sent(105.0, 105.0))
    assert pacing.rate == pytest.approx(rate)
    assert pacing._calm == calm


def test_a_wall_that_does_not_lower_the_rate_leaves_the_peak() -> None:
    """A fall that a wall interrupts goes on from the same peak."""
    pacing = paced(8.0)
    pacing.rate = 6.0
    pacing._cycle = Count(0, 0.0, sent=1000, refused=100)
    pacing.wall.hold(100.0, 5.0)
    pacing.answered(105.2, pacing.sent(105.0, 105.0))
    assert (pacing.rate, pacing._peak) == (6.0, 8.0)


@pytest.mark.parametrize(
    ("noise", "sent", "refused", "expected", "rate"),
    [
        (0.2, 59, 3, 0.05, 20),
        (0.2, 59, 12, 0.2, 20),
        (0.2, 59, 6, 0.2, 20),
        (0.2, 59, 19, 0.2, 20),
        (0.2, 58, 3, 0.2, 20),
        (0.3, 39, 12, 0.3, 25),
        (0.5, 23, 12, 0.5, 25),
        (0.5, 23, 14, 14 / 24, 20),
        (0.5, 23, 20, 0.75, 20),
    ],
)
def test_noise_is_compared_with_what_is_refused(
    noise: float, sent: int, refused: int, expected: float, rate: float
) -> None:
    """Much less or more than expected changes it, after twelve refusals are expected."""
    pacing = paced(noise=noise)
    pacing._watch = Count(0, 100.0, sent, refused)
    pacing.sent(104.9, 104.9)
    assert (pacing.noise, pacing.rate) == (noise, 20)  # five seconds have not passed
    pacing = paced(noise=noise)
    pacing._watch = Count(0, 100.0, sent, refused)
    pacing.sent(105.0, 105.0)
    assert pacing.noise == pytest.approx(expected)
    assert pacing.rate == pacing._peak == rate
    is_over = sent * noise + noise >= 12
    assert (pacing._watch.sent, pacing._watch.at) == ((0, 105) if is_over else (sent + 1, 100))


def test_noise_is_tested_again_if_clearly_more_is_refused() -> None:
    """The trial starts from the rate and the part of refusals that were measured."""
    pacing = paced(noise=0.2)
    pacing._watch = Count(0, 100.0, sent=59, refused=20)
    pacing.sent(105.0, 105.0)
    assert pacing._trial is not None
    assert pacing._trial.before == 12
    assert pacing._trial.part == pytest.approx(20 / 60)
    assert pacing.rate == pytest.approx(pacing._trial.rate)
    assert pacing.noise == 0.2


def test_a_long_calm_raises_the_rate_by_a_bounded_step() -> None:
    """A request adds at most 80 % of what a refusal would take away, beside its budget."""
    pacing = paced()
    pacing._calm = 10_000.0
    pacing.sent(200.0, 200.0)
    pacing.sent(200.0, 200.05)
    assert pacing.rate == pytest.approx(20 * (1 + 0.02 * (0.004 + 0.8)))


def judged(part: float, sent: int, refused: int, *, at: float = 100.0, top: float = 30.0) -> Pacing:
    """Return a pacing after the request at second 101 that may end a trial."""
    pacing = paced()
    pacing._trial = Trial(20.0, part, top, is_measured=True, after=0, at=at, sent=sent - 1)
    pacing._trial.refused = refused
    pacing.sent(101.0, 101.0)
    return pacing


@pytest.mark.parametrize(
    ("part", "sent", "rate"), [(0.2, 45, 16.0), (0.3, 31, 14.0), (0.6, 16, 10.0)]
)
def test_a_trial_that_finds_a_limit(part: float, sent: int, rate: float) -> None:
    """What was let through before it is the rate, and is trusted for two minutes."""
    assert judged(part, sent - 1, 0)._trial is not None
    pacing = judged(part, sent, 0)
    assert pacing._trial is None
    assert pacing.rate == pytest.approx(rate)
    assert (pacing.noise, pacing._trusted_until, pacing._test_at) == (0, 221, math.inf)
    assert pacing._test_after == 30


@pytest.mark.parametrize(
    ("part", "sent", "refused", "at", "top", "rate", "test_at"),
    [
        (0.2, 26, 8, 100.0, 30.0, 30.0, 161.0),
        (0.2, 26, 8, 100.0, 90.0, 40.0, 161.0),
        (0.2, 26, 8, 81.0, 10.0, 20.0, 201.0),
        (0.6, 31, 18, 100.0, 90.0, 90.0, 161.0),
    ],
)
def test_a_trial_that_finds_noise(  # noqa: PLR0917 - the columns of a table
    part: float, sent: int, refused: int, at: float, top: float, rate: float, test_at: float
) -> None:
    """The rate goes back up, to twice what it was at the most, and the noise is tested again."""
    pacing = judged(part, sent, refused, at=at, top=top)
    assert pacing._trial is None
    assert (pacing.noise, pacing.rate, pacing._test_at) == (part, rate, test_at)
    assert (pacing._test_after, pacing._watch.sent) == (60, 0)


def test_a_trial_may_be_followed_by_a_lower_one() -> None:
    """It begins at the rate of the one before."""
    found = judged(0.6, 61, 19)._trial
    assert found is not None
    assert found.before == pytest.approx(7.2)
    assert found.part == pytest.approx(19 / (61 - 2 * 0.1 * 7.2))
    assert (found.at, found.is_measured, found.sent) == (101, True, 0)


@pytest.mark.parametrize(("sent", "part", "rate"), [(29, 0.2, 14.0), (31, 10 / 32, 12.375)])
def test_noise_is_tested_again(sent: int, part: float, rate: float) -> None:
    """The part that was refused lately counts if there were enough requests."""
    pacing = paced(noise=0.2)
    pacing._watch = Count(0, 100.0, sent, 10)
    pacing._test_at = 101.0
    pacing.sent(100.9, 100.9)
    assert pacing._trial is None
    pacing._watch = Count(0, 100.0, sent, 10)
    pacing.sent(101.0, 101.0)
    assert pacing._trial is not None
    assert pacing._trial.part == pytest.approx(part)
    assert (pacing._trial.before, pacing._trial.is_measured) == (pytest.approx(20), True)
    assert pacing.rate == pytest.approx(rate)
    assert pacing.next_start(0.0) == pytest.approx(101.05)  # nobody waits longer than before


@pytest.mark.parametrize(
    ("sent", "refused", "trusted_until", "rate", "is_trial"),
    [
        (4, 1, 1000.0, 2.4, False),
        (40, 19, 1000.0, 4.8, False),
        (200, 1, 0.0, 4.8, False),
        (40, 19, 101.0, 18.0, True),
    ],
)
def test_a_rate_that_fell_to_half(
    sent: int, refused: int, trusted_until: float, rate: float, *, is_trial: bool
) -> None:
    """Few refusals end the fall; a limit that was found lately is lowered without a trial."""
    pacing = paced(10.0)
    pacing.rate, pacing._has_fallen = 5.0, True
    pacing._trusted_until = trusted_until
    ticket = pacing.sent(101.0, 101.0)
    pacing._fall = Count(0, 100.0, sent, refused)
    pacing.rate = 5.0
    pacing.refused(101.0, ticket, None)
    assert (pacing._trial is not None) is is_trial
    assert pacing.rate == pytest.approx(rate)
    if not is_trial:
        assert pacing._peak == pacing.rate
        assert (pacing._fall.sent, pacing._has_fallen) == (0, False)


@pytest.mark.parametrize(("now", "is_trial"), [(59.0, False), (61.0, True)])
def test_a_fall_in_the_first_minute_needs_no_trial(now: float, *, is_trial: bool) -> None:
    """Batches that start together would take each other's refusals for noise."""
    pacing = Pacing()
    pacing.refused(0.1, pacing.sent(0.0, 0.0), None)
    pacing._peak, pacing._has_fallen = 10.0, True
    ticket = pacing.sent(now, now)
    pacing._fall = Count(0, now - 1, sent=40, refused=19)
    pacing.rate = 5.0
    pacing.refused(now, ticket, None)
    assert (pacing._trial is not None) is is_trial


def test_the_second_half_of_a_fall_is_counted_by_itself() -> None:
    """From 0.71 of the peak on, so that the part that is refused is the one of now."""
    pacing = paced(10.0)
    for rate, has_fallen in ((7.38, False), (7.36, True)):
        pacing.rate = rate
        ticket = pacing.sent(101.0, 101.0)
        pacing.rate = rate
        pacing.refused(101.0, ticket, None)
        assert pacing._has_fallen is has_fallen
    assert (pacing._fall.sent, pacing._fall.at) == (0, 101)
    pacing.sent(102.0, 102.0)
    pacing.rate = 7.0
    pacing.refused(102.0, ticket, None)
    assert pacing._fall.sent == 1  # it has fallen already


def test_a_refusal_of_an_earlier_request_does_not_count() -> None:
    """The counts begin after a request, whose own refusal tells nothing of them."""
    pacing = paced()
    early = pacing.sent(100.0, 100.0)
    pacing._watch = Count(early.number, 100.0)
    late = pacing.sent(100.0, 100.0)
    pacing.refused(100.0, early, None)
    assert pacing._watch.refused == 0
    pacing.refused(100.0, late, None)
    assert pacing._watch.refused == 1
    trial = Trial(20.0, 0.2, 30.0, is_measured=True, after=late.number, at=100.0)
    pacing._trial = trial
    pacing.refused(100.0, late, None)
    assert trial.refused == 0
    pacing.refused(100.0, pacing.sent(100.0, 100.0), None)
    assert (trial.sent, trial.refused) == (1, 1)


def test_the_delay_of_a_refusal_is_a_moving_mean() -> None:
    """Each refusal counts a tenth."""
    pacing = Pacing()
    assert pacing._delay == 0.1
    pacing.refused(1.1, pacing.sent(0.0, 0.0), None)
    assert pacing._delay == pytest.approx(0.2)


def test_a_wall_ends_a_trial() -> None:
    """The rate goes back to the one before the trial."""
    pacing = paced()
    for _ in range(100):
        pacing.answered(100.0, pacing.sent(100.0, 100.0))
    pacing._trial = Trial(20.0, 0.05, 30.0, is_measured=True, after=pacing._number, at=100.0)
    pacing.rate = 14.0
    assert refusals_until_wall(pacing, 101.0, 7.0) == 4
    assert pacing._trial is None
    assert pacing.rate == 20
    assert pacing.next_start(0.0) == pytest.approx(108.1)
