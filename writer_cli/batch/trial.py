"""A trial: a batch slows down on purpose, to see whether its rate is why requests are refused."""

import math
from dataclasses import dataclass
from typing import Literal

BRAKE, HARDEST_BRAKE = 0.7, 0.25
"""A trial's rate, as a part of the rate before: what was let through at the most, and bounds."""

PART_IF_NOISE, PART_IF_OURS = 0.6, 0.125
"""How much of the part that was refused before is refused in a trial, at the least if it is noise,
and about if the limit is ours."""

OURS, NOISE = -4.0, 7.0
"""The logarithms of the likelihood at which a trial ends. It takes more to believe in noise, since
that leads to more requests."""

ENOUGH = 20
"""Requests that it takes at the least to believe in noise."""

MOST = 0.3
"""From this part of refusals on, "most" requests are refused."""

LONGEST = 45.0
"""Seconds after which an unclear trial ends. If few requests were refused before, the limit counts
as ours: later, others may have used what was left free, and the refusals come back. If most were
refused, the likelier explanation counts: others leave nothing free."""

Verdict = Literal["ours", "noise", "again"]


@dataclass(slots=True)
class Trial:
    """Weighs the evidence request by request (Wald's sequential test).

    Attributes:
        before: The rate before, in requests a second.
        part: The part of the requests that was refused at it, 0 to 1.
        top: The highest rate before it.
        is_measured: Whether `part` was measured at a steady rate.
        after: The number of the last request before the trial.
        at: When it began.
    """

    before: float
    part: float
    top: float
    is_measured: bool
    after: int
    at: float
    sent: int = 0
    refused: int = 0

    @property
    def rate(self) -> float:
        """The rate that is tried: lower, or higher if a lower one would take too long."""
        slowed = self.before * max(HARDEST_BRAKE, min(BRAKE, 0.9 * (1 - self.part)))
        if self.part > MOST and slowed < ENOUGH / LONGEST:
            return max(4 * self.before, ENOUGH / LONGEST)
        return min(BRAKE * self.before, max(slowed, ENOUGH / LONGEST))

    def known(self, delay: float) -> float:
        """Return of how many requests it is known whether they were refused."""
        return max(self.refused, self.sent - 2 * delay * self.rate)

    def let_through(self, delay: float) -> float:
        """Return the rate that was let through, in requests a second."""
        return (1 - self.refused / max(1.0, self.known(delay))) * self.rate

    def verdict(self, now: float, delay: float) -> Verdict | None:
        """Say whose fault the refusals are, or None if it is not clear yet.

        `delay` is how many seconds it takes until a refusal is known. Where most requests are
        refused, noise is believed in only if what is let through follows the rate. "again" asks
        for another trial from this rate, of which it is known now what is refused.
        """
        known = self.known(delay)
        # By which factor the requests that are let through have changed, and by which they would
        # have changed at the least if they followed the rate.
        change = self.let_through(delay) / (max(0.01, 1 - self.part) * self.before)
        proportional = math.sqrt(self.rate / self.before)
        if self.rate > self.before:
            verdict: Verdict = "noise" if change >= proportional else "ours"
            verdict = verdict if self.is_measured else "again"
            return verdict if known >= ENOUGH else None
        evidence = self.refused * math.log(PART_IF_NOISE / PART_IF_OURS)
        evidence -= known * self.part * (PART_IF_NOISE - PART_IF_OURS)
        is_late = now - self.at >= LONGEST and known >= ENOUGH
        least = NOISE if self.part <= MOST else 0.0
        if evidence <= (least if is_late else OURS):
            return "ours"
        if not is_late and (evidence < NOISE or known < ENOUGH):
            return None
        if self.part <= MOST:
            return "noise"
        return "noise" if self.is_measured and change <= proportional else "again"
