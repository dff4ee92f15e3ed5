"""Weights of the tokens of a vocabulary, from which the next token is drawn.

After a history of tokens, the text of an n-gram model has only a few tokens. All others keep the
ratios that they have after a shorter history, so one factor gives their weights. `Interpolated`
stores no more than that: a draw looks at a few tokens and not at the whole vocabulary.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property
from heapq import merge
from itertools import accumulate
from operator import itemgetter
from random import Random
from typing import Protocol


class Weights(Protocol):
    """A weight, 0 or more, for each token, by vocabulary index."""

    @property
    def total(self) -> float:
        """The sum of all weights."""

    def __getitem__(self, index: int) -> float: ...

    def each(self) -> list[float]:
        """Return all weights."""

    def before(self, index: int) -> float:
        """Return the sum of the weights of the tokens before this one."""

    def at(self, point: float) -> int:
        """Return the last token with `before(token) <= point` that has a weight."""

    def likeliest(self) -> Iterator[tuple[int, float]]:
        """Yield each token that has a weight, the largest first, then the smallest index."""


class Stored:
    """Weights that are stored one by one."""

    def __init__(self, weights: list[float]) -> None:
        self._weights = weights
        self._sums = [0.0, *accumulate(weights)]
        self.total = self._sums[-1]

    def __getitem__(self, index: int) -> float:
        return self._weights[index]

    def each(self) -> list[float]:
        """Return all weights."""
        return list(self._weights)

    def before(self, index: int) -> float:
        """Return the sum of the weights of the tokens before this one."""
        return self._sums[index]

    def at(self, point: float) -> int:
        """Return the last token with `before(token) <= point` that has a weight."""
        return bisect_right(self._sums, point, 0, len(self._weights)) - 1

    def likeliest(self) -> Iterator[tuple[int, float]]:
        """Yield each token that has a weight, the largest first, then the smallest index."""
        return iter(self._sorted)

    @cached_property
    def _sorted(self) -> list[tuple[int, float]]:
        # `sorted` keeps tokens of the same weight in their order.
        tokens = [(index, weight) for index, weight in enumerate(self._weights) if weight]
        return sorted(tokens, key=itemgetter(1), reverse=True)


class Interpolated:
    """Weights of a few tokens, and a factor that makes those of all others from other weights."""

    def __init__(self, own: dict[int, float], factor: float, others: Weights) -> None:
        self._own, self._factor, self._others = own, factor, others
        self._indices = sorted(own)
        self._starts: list[float] = []  # the sum of the weights before each token of its own
        self._ends: list[float] = []
        self.total = end = others_before = 0.0
        for index in self._indices:
            start = end + factor * (others.before(index) - others_before)
            end = start + own[index]
            others_before = others.before(index + 1)
            self._starts.append(start)
            self._ends.append(end)
        self.total = end + factor * (others.total - others_before)

    def __getitem__(self, index: int) -> float:
        own = self._own.get(index)
        return self._factor * self._others[index] if own is None else own

    def each(self) -> list[float]:
        """Return all weights."""
        weights = [self._factor * weight for weight in self._others.each()]
        for index, weight in self._own.items():
            weights[index] = weight
        return weights

    def before(self, index: int) -> float:
        """Return the sum of the weights of the tokens before this one."""
        start, end = self._behind(bisect_left(self._indices, index))
        return end + self._factor * (self._others.before(index) - self._others.before(start))

    def at(self, point: float) -> int:
        """Return the last token with `before(token) <= point` that has a weight."""
        number = bisect_right(self._starts, point)
        start, end = self._behind(number)
        if point < end:
            return self._indices[number - 1]
        return self._others.at(self._others.before(start) + (point - end) / self._factor)

    def _behind(self, number: int) -> tuple[int, float]:
        """Return the index behind this many tokens of its own, and the sum of weights before it."""
        return (self._indices[number - 1] + 1, self._ends[number - 1]) if number else (0, 0.0)

    def likeliest(self) -> Iterator[tuple[int, float]]:
        """Yield each token that has a weight, the largest first, then the smallest index."""
        others = (
            (index, self._factor * weight)
            for index, weight in self._others.likeliest()
            if index not in self._own and self._factor
        )
        return merge(self._sorted, others, key=_order)

    @cached_property
    def _sorted(self) -> list[tuple[int, float]]:
        return sorted(((i, weight) for i, weight in self._own.items() if weight), key=_order)


def draw(weights: Weights, random: Random) -> int:
    """Return a random token. The probability of each is its part of the total."""
    return weights.at(random.random() * weights.total)


def most_likely(weights: Weights, top_p: float) -> Weights:
    """Return the weights of the most likely tokens, and 0 for all others.

    They are the smallest set of tokens with `top_p`, from 0 to 1, of the total; at least one.
    """
    likeliest = weights.likeliest()
    kept = dict([next(likeliest)])
    total = sum(kept.values())
    while total < top_p * weights.total and (token := next(likeliest, None)):
        kept[token[0]] = token[1]
        total += token[1]
    return Interpolated(kept, 0.0, weights)


def _order(token: tuple[int, float]) -> tuple[float, int]:
    index, weight = token
    return -weight, index
