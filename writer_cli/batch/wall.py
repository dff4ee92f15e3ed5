"""A wall: a stretch of time in which a server lets nothing through."""

import math

BY_CHANCE = 1e-5
"""How likely so many refusals one after the other may be by chance, to count as a wall."""

LEAST_USUAL, MOST_USUAL = 0.05, 0.82
"""Bounds of the part of refusals that counts as usual: four refusals in a row are a wall at the
least, sixty at the most."""

LONGEST_PAUSE = 30.0
"""Seconds between two looks whether a wall still stands, if the server names no time."""


class Wall:
    """Finds a wall, says how long nobody sends anything, and lets one request look.

    Attributes:
        is_up: Whether a wall stands.
        held_until: Nobody sends anything before.
        hold_ended: When the last hold of the wall was to end.
    """

    def __init__(self, now: float) -> None:
        self.is_up = False
        self.held_until = self.hold_ended = self._began = now
        self._probe: int | None = None
        self._numbers: list[int] = []
        """The last refusals."""

    @property
    def found(self) -> int:
        """How many refusals one after the other were seen last."""
        return len(self._numbers)

    def is_found(self, number: int, usual: float) -> bool:
        """Take note of a refusal, and return whether the last ones are a wall.

        `usual` is the part of all requests that is refused anyway, 0 to 1.
        """
        usual = max(LEAST_USUAL, min(MOST_USUAL, usual))
        enough = math.ceil(math.log(BY_CHANCE) / math.log(usual))
        self._numbers = [*self._numbers, number][-enough:]
        is_dense = max(self._numbers) - min(self._numbers) < enough
        return len(self._numbers) == enough and is_dense

    def hold(self, now: float, retry_after: float | None) -> None:
        """Let nobody send anything for as long as the server asks, or as seems right."""
        if not self.is_up:
            self.is_up, self._began = True, now
        if retry_after is None:
            retry_after = min(LONGEST_PAUSE, max(1.0, (now - self._began) / 4))
        self.held_until = self.hold_ended = max(self.held_until, now + retry_after)
        self._probe = None

    def is_passed_by(self, number: int, now: float, delay: float) -> bool:
        """Take note of a request that is sent; return whether the one before it got through.

        The first one after a hold goes alone, until it would be known that it was refused.
        """
        if self._probe is not None:
            return True
        self._probe = number
        self.held_until = now + 3 * delay + 0.05
        return False

    def is_news(self, number: int) -> bool:
        """Whether an answer to this request, or a refusal of it, is news of the wall."""
        return self._probe is not None and number >= self._probe

    def end(self, now: float) -> None:
        """Let everybody go on."""
        self.is_up, self._probe, self._numbers = False, None, []
        self.held_until = min(self.held_until, now)
