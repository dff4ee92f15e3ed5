"""The rate that a server allows, learned from what it answers.

Nobody tells a batch what the server's limit is, and a 429 can mean many things: our own requests
are too many, a colleague uses the same limit, one of several servers behind a gateway is full, or
an engine is overloaded. Only the first meaning is a reason to slow down. This module finds out
which one it is. It knows no threads and no clock: its caller says what time it is.

**The rate follows a budget of refusals.** Each request that is sent raises the rate a little, each
refusal lowers it by STEP. Both together hold the rate where a small part of the requests is
refused, and that is at the limit, whatever its form: a bucket, a window, a log, a sum of tokens.
The budget is REFUSALS_PER_SECOND, so a slower sender may have a larger part of its requests
refused than a faster one. That draws senders who share a limit towards equal rates. Without
refusals the rate grows faster and faster, as with CUBIC, to find a limit that was raised.

**A single refusal makes its own request wait and nobody else.** Only a wall holds everybody: so
many refusals one after the other, with nothing let through between them, as chance would not make.
Then nothing is sent for as long as the server asks, or for a quarter of the time that the wall
stands already, and one request goes ahead and looks. What was let through from the last wall to
this one, holds included, is the rate that the server allowed.

**A trial tells whose fault the refusals are.** If the rate has fallen to DROP of what it was and
more are still refused than a shared limit explains, it is lowered further on purpose, to below
what was let through. If the limit is ours, the refusals go away, and the rate that was let through
is the limit. If just as many are refused, they have nothing to do with our rate: it goes back to
what it was, and that part of refusals counts as noise, which costs nothing from the budget. The
evidence is weighed request by request until it is clear (Wald's sequential test). Noise is tested
again from time to time, and is given up where the refusals become clearly fewer or more.

**Where most requests are refused**, as by a client that asks for twice the limit all the time, the
measure is what another rate brings: if the requests that are let through change in proportion, our
part of the limit depends on how often we ask, and asking less would only leave it to others. If
they do not, the limit is ours, and the rate is lowered again. A rate too low to learn from is
raised for the trial.

**At first the limit counts as ours**: the first fall of the rate is followed without a trial.
Batches that start together would take each other's refusals for noise.

**Where everything fails** (5xx, no connection), it is an outage: see `outage.py`.

This learned from TCP's CUBIC and BBR (grow with the time since the last loss; learn the rate that
was delivered) and PCC (try a rate and see what it brings).
"""

import math

from writer_cli.batch.counting import Count, Ticket
from writer_cli.batch.outage import Outage
from writer_cli.batch.trial import MOST, Trial
from writer_cli.batch.wall import Wall

STEP = 0.04
GAIN = 0.4
"""A refusal lowers the rate by the part STEP, at high rates by less: no more than GAIN a second,
or in the time until a refusal is known, if all requests were refused."""

REFUSALS_PER_SECOND = 0.025
LEAST_REFUSED, MOST_REFUSED = 0.004, 0.03
"""The budget of refusals, and the bounds of the part of all requests that it makes."""

CALM, CALM_SCALE = 80, 60
"""Requests without a refusal after which the rate grows faster, and in which it grows by more."""

DROP, FEW = 0.5, 3
"""A rate that fell to the part DROP is put to a trial, unless few are refused: FEW budgets."""

LARGEST_NOISE = 0.75
"""Noise beyond this part is not believed in: the rate would grow without end."""

FIRST_TRUST, TRUST = 60.0, 120.0
"""Seconds in which the limit counts as ours without a trial: at first, and after one found it."""

FIRST_TEST, LAST_TEST = 30.0, 300.0
"""Seconds until noise is tested again: doubled each time, within these bounds."""

SHORT, LONG = 5.0, 90.0
"""Seconds between two walls: too short to tell a rate by; too long for a window of a minute."""
ENOUGH, COMPARABLE = 20, 12
"""Requests let through that tell a rate; refusals that are expected where noise is compared."""

HEADROOM = 6
"""The first rate is so many times what was sent: a batch that has just begun has few threads."""

SLOWEST = 1 / 60
"""Requests a second that a learned rate does not fall below."""


class Pacing:
    """When the next request may be sent, as far as the server's answers tell.

    Attributes:
        rate: Requests a second that were learned; None until something was refused.
        noise: The part of all requests that is refused whatever the rate, 0 to 1.
        wall: Whether everybody waits because nothing is let through, and until when.
        outage: Whether the server answers nobody.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.rate: float | None = None
        self.noise = 0.0
        self.wall = Wall(now)
        self.outage = Outage()
        self._number = 0
        self._free_at = now
        self._delay = 0.1  # seconds until a refusal is known
        self._calm = 0.0
        self._last_rate = 0.0
        self._second = Count(0, now)
        self._cycle = Count(0, now)  # since the last wall
        self._fall = Count(0, now)
        """Since the rate was at its peak; since it has fallen half way to DROP, if it has."""
        self._watch = Count(0, now)  # to be compared with the noise
        self._peak = 0.0
        self._has_fallen = False
        self._trusted_until = now + FIRST_TRUST
        self._trial: Trial | None = None
        self._test_at = math.inf
        self._test_after = FIRST_TEST

    def next_start(self, asked_at: float) -> float:
        """Return when a request may be sent that somebody wants to send since `asked_at`."""
        start = max(asked_at, self.wall.held_until)
        if self.outage.is_on:
            start = max(start, self.outage.probe_at)
        return start if self.rate is None else max(start, self._free_at)

    def sent(self, asked_at: float, now: float) -> Ticket:
        """Take note of a request that is sent now; `next_start` has allowed it."""
        self._number += 1
        if now - self._second.at >= 1:
            self._last_rate = self._second.sent / (now - self._second.at)
            self._second = Count(self._number, now)
        for count in (self._second, self._cycle, self._fall, self._watch):
            count.sent += 1
        self._compare_with_noise(now)
        if self.rate is not None:
            is_bound = self._free_at > asked_at and self._free_at >= self.wall.held_until
            if is_bound and self._trial is None:
                self._grow(self.rate, now)
            self._free_at = max(asked_at, self.wall.held_until, self._free_at) + 1 / self.rate
            if self._trial is not None:
                self._trial.sent += 1
                self._judge(self._trial, now)
            elif now >= self._test_at:
                enough = self._watch.sent * self.noise > COMPARABLE / 2
                part = self._watch.part if enough else self.noise
                self._try(self.rate, part, now, is_measured=True)
        if self.wall.is_up and self.wall.is_passed_by(self._number, now, self._delay):
            self._end_wall(now)
        if self.outage.is_on:
            self.outage.sent(now)
        return Ticket(self._number, now)

    def answered(self, now: float, ticket: Ticket) -> None:
        """Take note of an answer that says nothing against the rate or the server."""
        self.outage.answered(ticket.number)
        if self.wall.is_news(ticket.number):
            self._end_wall(now)

    def failed(self, now: float, ticket: Ticket, *, is_first_attempt: bool) -> None:
        """Take note that the server or the network failed."""
        self.outage.failed(now, ticket.number, is_first_attempt=is_first_attempt)

    def refused(self, now: float, ticket: Ticket, retry_after: float | None) -> None:
        """Take note of a 429, and of how many seconds it asks to wait, if it does."""
        self._delay += (now - ticket.at - self._delay) / 10
        for count in (self._cycle, self._fall, self._watch):
            count.refused += ticket.number > count.after
        if self.rate is None:
            self._begin(now)
        if self._calm > 0:
            self._calm = max(0.0, self._calm - 1 / self._budget(self.rate or SLOWEST))
        if self.wall.is_up:
            if self.wall.is_news(ticket.number):
                self._hold(now, retry_after)
            return
        if self._trial is None:
            self._shrink(self.rate or SLOWEST, now)
        elif ticket.number > self._trial.after:
            self._trial.refused += 1
            self._judge(self._trial, now)
        if self.wall.is_found(ticket.number, self._usual_part()):
            if self._trial is not None:
                self.rate, self._trial = self._trial.before, None
            self._hold(now, retry_after)

    def _begin(self, now: float) -> None:
        elapsed = max(0.001, now - self._second.at)
        self.rate = HEADROOM * max(SLOWEST, self._last_rate, self._second.sent / elapsed)
        self._free_at = now
        self._set_peak(now)

    def _budget(self, rate: float) -> float:
        """Return the part of all requests that may be refused without the rate falling."""
        own = min(MOST_REFUSED, max(LEAST_REFUSED, REFUSALS_PER_SECOND / rate))
        return own + 1.1 * self.noise

    def _step(self, rate: float) -> float:
        return min(STEP, GAIN / (rate * max(1.0, self._delay)))

    def _set_peak(self, now: float) -> None:
        self._peak = self.rate or 0.0
        self._has_fallen = False
        self._fall = Count(self._number, now)

    def _grow(self, rate: float, now: float) -> None:
        self._calm += min(1.0, 10 / rate)
        more = min(0.8, 0.02 * (max(0.0, self._calm - CALM) / CALM_SCALE) ** 2)
        self.rate = rate * (1 + self._step(rate) * (self._budget(rate) + more))
        if self.rate > self._peak:
            self._set_peak(now)

    def _shrink(self, rate: float, now: float) -> None:
        self.rate = rate = max(SLOWEST, rate * (1 - self._step(rate)))
        fall = self._fall
        if rate >= self._peak * DROP:
            if rate < self._peak * math.sqrt(DROP) and not self._has_fallen:
                self._has_fallen, self._fall = True, Count(self._number, now)
            return
        sent_rate = fall.sent / max(0.1, now - fall.at)
        if fall.part <= FEW * self._budget(rate):
            self._set_peak(now)
        elif now < self._trusted_until:
            self.rate = max(SLOWEST, rate * DROP, min(rate, sent_rate * (1 - fall.part)))
            self._trusted_until = now
            self._set_peak(now)
        else:
            self._try(sent_rate, fall.part, now)

    def _compare_with_noise(self, now: float) -> None:
        watch, expected = self._watch, self._watch.sent * self.noise
        if expected < COMPARABLE or now - watch.at < SHORT:
            return
        if watch.refused < expected / 2:
            self.noise = watch.part
        elif self.noise < MOST:
            if self._trial is None and watch.refused > 1.6 * expected:
                self._try(watch.sent / (now - watch.at), watch.part, now, is_measured=True)
        else:
            self.noise = min(LARGEST_NOISE, watch.part)
            if self._trial is None and self.rate is not None and watch.refused < 1.1 * expected:
                self.rate *= 1.25
                self._set_peak(now)
        self._watch = Count(self._number, now)

    def _try(self, before: float, part: float, now: float, *, is_measured: bool = False) -> None:
        """Slow down from a rate of which a part was refused, to see whether that helps."""
        top, before = self._peak, max(SLOWEST, before)
        self._trial = Trial(before, part, top, is_measured, self._number, now)
        self.rate = max(SLOWEST, self._trial.rate)
        self._free_at = min(self._free_at, now + 1 / self.rate)

    def _judge(self, trial: Trial, now: float) -> None:
        verdict = trial.verdict(now, self._delay)
        if verdict is None:
            return
        self._trial, self._test_at = None, math.inf
        if verdict == "again":
            part = trial.refused / trial.known(self._delay)
            self._try(trial.rate, part, now, is_measured=True)
            return
        if verdict == "ours":
            self.noise, self._test_after, self._trusted_until = 0.0, FIRST_TEST, now + TRUST
            let_through = trial.before * (1 - trial.part) * (1.25 if trial.part > MOST else 1)
            self.rate = max(SLOWEST, let_through, trial.let_through(self._delay))
        else:
            self.noise = min(LARGEST_NOISE, trial.part)
            most = trial.top if trial.part > MOST else min(trial.before / DROP, trial.top)
            self.rate = max(trial.before, trial.rate, most)
            self._watch = Count(self._number, now)
            self._test_after = min(LAST_TEST, 2 * self._test_after)
            self._test_at = now + max(self._test_after, 5 * (now - trial.at))
        self._set_peak(now)

    def _usual_part(self) -> float:
        """Return the part of all requests that was refused lately, the last ones not counted."""
        part = max(self.noise, self._trial.part if self._trial is not None else 0.0)
        # 0.2 of 4 more: a few requests since the last wall do not prove much.
        refused, sent = self._cycle.refused + 0.2, self._cycle.sent + 4
        return max(part, (refused - self.wall.found) / (sent - self.wall.found))

    def _hold(self, now: float, retry_after: float | None) -> None:
        self.wall.hold(now, retry_after)
        self._free_at = self.wall.held_until

    def _end_wall(self, now: float) -> None:
        cycle, rate = self._cycle, self.rate or SLOWEST
        seconds = max(0.05, self.wall.hold_ended - cycle.at)
        sent_rate = cycle.sent / seconds
        if self.noise <= MOST:
            let_through = max(1, cycle.sent - cycle.refused) / seconds / (1 - self.noise)
            if seconds < SHORT or cycle.sent - cycle.refused < ENOUGH:
                let_through = max(let_through, min(rate / 2, sent_rate))
            if let_through < rate:
                self.rate = max(SLOWEST, let_through)
                self._set_peak(now)
        self._calm = -float(cycle.sent) if seconds < LONG else 0.0
        self._cycle = Count(self._number, self.wall.hold_ended)
        self.wall.end(now)
