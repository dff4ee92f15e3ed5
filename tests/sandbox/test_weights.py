"""Weights of tokens: stored one by one, or interpolated with those of a shorter history."""

from math import isclose
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writer_cli.sandbox.weights import Interpolated, Stored, Weights, draw, most_likely

VOCABULARY = 12

WEIGHT = st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0])


@st.composite
def interpolated(draw_from: st.DrawFn) -> Weights:
    """Return up to three levels of weights above those that are stored one by one."""
    weights: Weights = Stored(draw_from(st.lists(WEIGHT, min_size=VOCABULARY, max_size=VOCABULARY)))
    for own in draw_from(
        st.lists(st.dictionaries(st.integers(0, VOCABULARY - 1), WEIGHT), max_size=3)
    ):
        weights = Interpolated(own, draw_from(st.sampled_from([0.0, 0.5, 1.0])), weights)
    return weights


@given(interpolated())
def test_interpolated_weights_equal_the_same_weights_stored_one_by_one(weights: Weights) -> None:
    """Each weight, each sum, the total and the order of the tokens are the same."""
    stored = Stored(weights.each())
    assert [weights[index] for index in range(VOCABULARY)] == stored.each()
    assert [weights.before(index) for index in range(VOCABULARY)] == [
        stored.before(index) for index in range(VOCABULARY)
    ]
    assert weights.total == stored.total
    assert list(weights.likeliest()) == list(stored.likeliest())


@given(interpolated(), st.floats(0, 1, exclude_max=True))
def test_a_point_below_the_total_is_in_the_range_of_one_token(
    weights: Weights, part: float
) -> None:
    """The ranges of the tokens follow each other; a token without weight has none."""
    point = part * weights.total
    if point < weights.total:
        index = weights.at(point)
        assert weights.before(index) <= point < weights.before(index) + weights[index]


def test_each_token_is_drawn_as_often_as_its_weight_says() -> None:
    """Of weights 1, 0, 2 and 5, the last token gets five of eight draws."""
    weights = Interpolated({2: 2.0}, 0.5, Stored([2.0, 0.0, 4.0, 10.0]))
    random = Random(1)  # noqa: S311 - no secret
    drawn = [draw(weights, random) for _ in range(4000)]
    assert [round(drawn.count(index) / 500) for index in range(4)] == [1, 0, 2, 5]


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(0.0, [3]), (0.6, [3]), (0.7, [3, 2]), (0.99, [3, 2, 0]), (1.0, [3, 2, 0])],
)
def test_the_most_likely_tokens_are_the_fewest_that_have_top_p(
    top_p: float, kept: list[int]
) -> None:
    """At least one token is kept, with its weight; the others have weight 0."""
    weights = Stored([1.0, 0.0, 2.0, 5.0])
    nucleus = most_likely(weights, top_p)
    assert nucleus.each() == [weight if i in kept else 0 for i, weight in enumerate(weights.each())]


def test_all_tokens_are_kept_where_rounding_leaves_their_sum_below_top_p() -> None:
    """Three tenths, added one by one in another order, may be less than their total."""
    weights = Stored([0.1, 0.2, 0.3])
    nearly = 1 - 2**-53
    assert isclose(most_likely(weights, nearly).total, weights.total)
