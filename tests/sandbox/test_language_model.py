import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from writer_cli.sandbox.language_model import (
    END,
    Choice,
    LanguageModel,
    Sampling,
    Token,
    load,
    tokenize,
)

TEXT = """\
The cat sat on the mat. The dog sat on the cat.

"Don't!" said the cat, and the dog didn't.

The end of the tale is the end of the cat.
"""
PARAGRAPHS = [tokenize(line) for line in TEXT.split("\n") if line]
TALE = LanguageModel(TEXT)
VOCABULARY = list(TALE.distribution([]))

# One sentence, so that the likeliest text is known: the sentence itself.
SENTENCE = "one two three four five."
RECITAL = LanguageModel(SENTENCE)
GREEDY = Sampling(temperature=0)

modestly = settings(max_examples=50, deadline=None)

prompts = st.sampled_from(["", "The", "The dog sat", "on the\n", "xyzzy", "the xyzzy cat"])
contexts = st.lists(st.sampled_from([*VOCABULARY, "xyzzy", "\n"]), max_size=5)
stops = st.lists(st.sampled_from(["cat", "t on", "e", " the", "T", "d.", ", and"]), max_size=3)
samplings = st.builds(
    Sampling,
    max_tokens=st.integers(0, 12),
    min_tokens=st.integers(0, 12),
    temperature=st.just(0.0) | st.floats(0.05, 5),
    # If a sum of probabilities were equal to one of these, rounding would decide the result.
    top_p=st.sampled_from([0.0, 0.317, 0.537, 0.811, 0.937, 1.0]),
    stop=stops.map(tuple),
    presence_penalty=st.floats(-2, 2),
    frequency_penalty=st.floats(-2, 2),
    logprobs=st.none() | st.integers(0, 5),
)


def complete(model: LanguageModel, prompt: str, sampling: Sampling, seed: int = 0) -> Choice:
    """Return the one choice."""
    [choice] = model.complete(prompt, sampling, seed)
    return choice


@cache
def witten_bell(token: str, context: tuple[str, ...]) -> float:
    """Return a token's probability in the tale by the formula; counts stay in one paragraph."""
    padded = [(END, *paragraph, END) for paragraph in PARAGRAPHS]
    size = len(context)
    windows = [p[i : i + size + 1] for p in padded for i in range(len(p) - size)]
    after = Counter(window[-1] for window in windows if window[:-1] == context)
    if not context:
        after[END] -= len(padded)  # the marker of a new paragraph is not part of the text
    lower = witten_bell(token, context[1:]) if context else 1 / len(after)
    if not after:
        return lower
    return (after[token] + len(after) * lower) / (after.total() + len(after))


def tokens_before_stop(said: Sequence[str], stop: Sequence[str]) -> int | None:
    """Return how many tokens begin before the first stop sequence; None if there is none."""
    text = "".join(said)
    if not any(s in text for s in stop):
        return None
    cut = min(text.find(s) for s in stop if s in text)
    return sum(len("".join(said[:i])) < cut for i in range(len(said)))


def next_token_probabilities(
    context: list[str], said: list[str], sampling: Sampling
) -> dict[str, float]:
    """Return the probabilities of the tale's next token by the definition of the fields."""
    weights = {}
    for token, probability in TALE.distribution([*context, *said]).items():
        left = len(said) if token == END else tokens_before_stop([*said, token], sampling.stop)
        if left is not None and left < sampling.min_tokens:
            continue
        count = said.count(token)
        penalty = sampling.presence_penalty * (count > 0) + sampling.frequency_penalty * count
        weights[token] = (probability * math.exp(-penalty)) ** (1 / (sampling.temperature or 1))
    enough = sampling.top_p * sum(weights.values()) if sampling.top_p < 1 else math.inf
    nucleus: dict[str, float] = {}
    for token in sorted(weights, key=weights.__getitem__, reverse=True):
        if nucleus and sum(nucleus.values()) >= enough:
            break
        nucleus[token] = weights[token]
    return {token: weight / sum(nucleus.values()) for token, weight in nucleus.items()}


@given(st.text() | st.text(" \n\t'’a.1"))  # noqa: RUF001 - an apostrophe
@modestly
def test_the_tokens_of_any_text_join_to_it(text: str) -> None:
    """The tokens of a text, joined, are the text; no token is empty."""
    tokens = tokenize(text)
    assert "".join(tokens) == text
    assert all(tokens)


def test_a_token_is_a_word_with_its_space_or_a_mark_or_white_space() -> None:
    """A token includes the space before it; a word includes its apostrophe."""
    assert tokenize('"Don\'t,"  she said.\n\n  Go (3-0)! ') == [
        *('"', "Don't", ",", '"', " ", " she", " said", ".", "\n\n ", " Go"),
        *(" (", "3", "-", "0", ")", "!", " "),
    ]


@given(contexts)
@modestly
def test_a_distribution_is_positive_everywhere_and_sums_to_1(context: list[str]) -> None:
    """Every token and the end of the text have a positive probability in any context."""
    distribution = TALE.distribution(context)
    assert distribution.keys() == {END}.union(*PARAGRAPHS)
    assert min(distribution.values()) > 0
    assert math.fsum(distribution.values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("size", range(5))
def test_a_distribution_is_that_of_witten_and_bell(size: int) -> None:
    """The probabilities follow the formula of Witten and Bell on counts within paragraphs."""
    tokens = tokenize(TEXT)
    for context in (tokens[i : i + size] for i in range(len(tokens) - size + 1)):
        history = [END, *(END if "\n" in token else token for token in context)]
        start = len(history) - 1 - history[::-1].index(END)
        expected = {token: witten_bell(token, tuple(history[start:][-3:])) for token in VOCABULARY}
        assert TALE.distribution(context) == pytest.approx(expected, rel=1e-9)


@given(contexts)
@modestly
def test_nothing_before_an_unknown_token_counts(context: list[str]) -> None:
    """After an unknown token the model uses the frequency of single tokens."""
    assert TALE.distribution([*context, "xyzzy"]) == TALE.distribution(["xyzzy"])
    assert TALE.distribution(["xyzzy"]) != TALE.distribution([])


@pytest.mark.parametrize("prompt", ["", "\n", "The cat sat on\n\n", "xyzzy\n \n"])
def test_a_paragraph_begins_after_a_line_feed_or_nothing(prompt: str) -> None:
    """The text before a line feed has no influence on what follows it."""
    assert complete(RECITAL, prompt, GREEDY).text == SENTENCE


@given(prompts, samplings, st.integers())
@modestly
def test_log_probabilities_are_those_of_the_sampled_distribution(
    prompt: str, sampling: Sampling, seed: int
) -> None:
    """The log probabilities are those of the distribution after top-p and penalties."""
    said: list[str] = []
    for token in complete(TALE, prompt, replace(sampling, logprobs=5), seed).tokens:
        expected = next_token_probabilities(tokenize(prompt), said, sampling)
        best = sorted(map(math.log, expected.values()), reverse=True)[:5]
        assert [logprob for _, logprob in token.top] == pytest.approx(best)
        # A stop sequence may have cut the token.
        likely = [math.log(p) for text, p in expected.items() if text.startswith(token.text)]
        assert any(token.logprob == pytest.approx(logprob) for logprob in likely)
        said.append(token.text)


@given(prompts, samplings, st.integers())
@modestly
def test_a_choice_keeps_to_its_bounds(prompt: str, sampling: Sampling, seed: int) -> None:
    """A choice respects `max_tokens` and `min_tokens`, and contains no stop sequence."""
    choice = complete(TALE, prompt, sampling, seed)
    length = len(choice.tokens)
    assert min(sampling.min_tokens, sampling.max_tokens) <= length <= sampling.max_tokens
    assert choice.finish_reason == "stop" or length == sampling.max_tokens
    assert not any(stop in choice.text for stop in sampling.stop)
    assert all(token.text for token in choice.tokens)
    assert all(len(token.top) <= (sampling.logprobs or 0) for token in choice.tokens)


@given(prompts, samplings, st.integers(), st.data())
@modestly
def test_a_text_ends_right_before_a_stop_sequence(
    prompt: str, sampling: Sampling, seed: int, data: st.DataObject
) -> None:
    """The text ends before a stop sequence, wherever in a token that begins and ends."""
    free = complete(TALE, prompt, replace(sampling, min_tokens=0, stop=()), seed)
    start = data.draw(st.integers(0, len(free.text)), "start")
    stop = free.text[start : data.draw(st.integers(start, len(free.text)), "end")] or "zebra"
    choice = complete(TALE, prompt, replace(sampling, min_tokens=0, stop=(stop,)), seed)
    assert choice.text == free.text.partition(stop)[0]
    assert choice.finish_reason == ("stop" if stop in free.text else free.finish_reason)
    for token, whole in zip(choice.tokens, free.tokens, strict=False):
        assert whole.text.startswith(token.text)
        assert (token.logprob, token.top) == (whole.logprob, whole.top)


@pytest.mark.parametrize(
    ("stop", "texts"),
    [
        pytest.param((" three",), ["one", " two"], id="a token"),
        pytest.param(("ree",), ["one", " two", " th"], id="the end of a token"),
        pytest.param(("o thr",), ["one", " tw"], id="parts of two tokens"),
        pytest.param(("four", "e t"), ["on"], id="the first of two"),
        pytest.param((" five", "r fi"), ["one", " two", " three", " fou"], id="two at once"),
        pytest.param(("zebra",), tokenize(SENTENCE), id="none"),
    ],
)
def test_the_last_token_is_cut_short_where_a_stop_sequence_begins(
    stop: tuple[str, ...], texts: list[str]
) -> None:
    """The token in which a stop sequence begins is cut; the tokens after it are dropped."""
    choice = complete(RECITAL, "", replace(GREEDY, stop=stop))
    assert [token.text for token in choice.tokens] == texts
    assert choice.finish_reason == "stop"


def test_a_prompt_is_not_searched_for_stop_sequences() -> None:
    """Only a stop sequence that is whole in the completion ends the text."""
    assert complete(RECITAL, "one", replace(GREEDY, stop=("one", "e f"))).text == " two thre"


@pytest.mark.parametrize(("min_tokens", "text"), [(1, "one "), (2, "one ")])
def test_a_token_that_a_stop_sequence_cuts_counts_for_min_tokens(
    min_tokens: int, text: str
) -> None:
    """A token that a stop sequence has cut counts as a token for `min_tokens`."""
    sampling = replace(GREEDY, min_tokens=min_tokens, stop=("two",))
    assert complete(RECITAL, "", sampling).text == text


@pytest.mark.parametrize("stop", ["one", " two", "one ", "e two th"])
def test_a_token_that_would_end_the_text_too_early_is_not_drawn(stop: str) -> None:
    """Before `min_tokens`, no token is drawn that makes a stop sequence or ends the text."""
    choice = complete(RECITAL, "", replace(GREEDY, max_tokens=9, min_tokens=9, stop=(stop,)))
    assert len(choice.tokens) == 9
    assert stop not in choice.text
    assert choice.finish_reason == "length"


def test_a_choice_is_not_empty_unless_min_tokens_is_0() -> None:
    """A stop sequence of several tokens does not make a text empty unless `min_tokens` is 0."""
    sampling = replace(GREEDY, stop=("one two",))
    assert complete(RECITAL, "", sampling).text.startswith("one")
    assert complete(RECITAL, "", replace(sampling, min_tokens=0)) == Choice((), "stop")


def test_a_text_ends_early_if_nothing_else_is_left() -> None:
    """If every token would make a stop sequence, the choice is empty and ranks last."""
    choice = complete(LanguageModel("x"), "", Sampling(stop=("x",)))
    assert choice == Choice((), "stop")
    assert choice.mean_logprob == -math.inf


@pytest.mark.parametrize("max_tokens", [0, 1, 5])
def test_max_tokens_overrides_min_tokens(max_tokens: int) -> None:
    """If `min_tokens` is larger, the text has `max_tokens` tokens and ends with `length`."""
    choice = complete(TALE, "The", Sampling(max_tokens=max_tokens, min_tokens=9))
    assert (len(choice.tokens), choice.finish_reason) == (max_tokens, "length")


@given(prompts, st.integers())
@modestly
def test_temperature_0_takes_the_likeliest_token(prompt: str, seed: int) -> None:
    """At temperature 0 the seed has no influence; log probabilities are as at temperature 1."""
    choice = complete(TALE, prompt, replace(GREEDY, min_tokens=0), seed)
    said = tokenize(prompt)
    for token in choice.tokens:
        distribution = TALE.distribution(said)
        assert token.text == max(distribution, key=distribution.__getitem__)
        assert token.logprob == pytest.approx(math.log(distribution[token.text]))
        said.append(token.text)
    assert choice == complete(TALE, prompt, replace(GREEDY, min_tokens=0), seed + 1)


@pytest.mark.parametrize("temperature", [5e-324, 1e-9])
def test_a_very_low_temperature_takes_the_likeliest_token(temperature: float) -> None:
    """Near temperature 0 the likeliest token is certain, and there is no other alternative."""
    choice = complete(RECITAL, "", Sampling(temperature=temperature, logprobs=5))
    assert choice.text == SENTENCE
    assert all(token == Token(token.text, 0.0, ((token.text, 0.0),)) for token in choice.tokens)


def test_a_very_high_temperature_makes_all_tokens_equally_likely() -> None:
    """At a very high temperature every token has the same log probability."""
    sampling = Sampling(temperature=1e6, min_tokens=0, logprobs=99)
    for token in complete(TALE, "The cat", sampling).tokens:
        assert len(token.top) == len(VOCABULARY)
        logprobs = [token.logprob, *dict(token.top).values()]
        assert logprobs == pytest.approx([-math.log(len(VOCABULARY))] * len(logprobs), abs=1e-4)


@pytest.mark.parametrize(
    ("penalties", "losses"),
    [
        pytest.param(Sampling(presence_penalty=0.5), [0, 0.5, 0.5, 0.5], id="presence"),
        pytest.param(Sampling(frequency_penalty=0.5), [0, 0.5, 1, 1.5], id="frequency"),
    ],
)
def test_a_penalty_lowers_tokens_that_the_completion_already_has(
    penalties: Sampling, losses: list[float]
) -> None:
    """A presence penalty counts once, a frequency penalty each time; the prompt does not count."""
    song = LanguageModel("la" + " la" * 99)
    sampling = replace(penalties, temperature=0, max_tokens=len(losses), min_tokens=0, logprobs=9)
    prompt = "la la la la"
    after = song.distribution(tokenize(prompt))
    odds = math.log(after[" la"] / after[END])
    tops = [dict(token.top) for token in complete(song, prompt, sampling).tokens]
    assert [odds - (top[" la"] - top[END]) for top in tops] == pytest.approx(losses)


def test_choices_differ_and_more_of_them_change_none() -> None:
    """Each choice has its own random stream, so a larger `n` does not change the first ones."""
    choices = load().complete("She opened the", Sampling(n=4), "seed")
    assert len({choice.text for choice in choices}) == 4
    assert load().complete("She opened the", Sampling(n=2), "seed") == choices[:2]
    for best_of in (1, 4):
        again = load().complete("She opened the", Sampling(n=4, best_of=best_of), "seed")
        assert again == choices


@given(prompts, samplings, st.integers())
@modestly
def test_best_of_keeps_the_likeliest_choices(prompt: str, sampling: Sampling, seed: int) -> None:
    """`best_of` returns the choices with the highest mean log probability, best first."""
    candidates = TALE.complete(prompt, replace(sampling, n=5), seed)
    best = TALE.complete(prompt, replace(sampling, n=2, best_of=5), seed)
    assert best == sorted(candidates, key=lambda choice: -choice.mean_logprob)[:2]


def test_the_mean_log_probability_is_that_of_the_tokens() -> None:
    """The mean log probability of a choice counts each token once."""
    assert Choice((Token("a", -1.0, ()), Token("b", -2.5, ())), "stop").mean_logprob == -1.75


@pytest.mark.parametrize(("logprobs", "expected"), [(None, 0), (0, 0), (3, 3), (99, 7)])
def test_alternatives_are_the_likeliest_best_first(logprobs: int | None, expected: int) -> None:
    """A step has as many alternatives as were asked for, the likeliest first."""
    for token in complete(RECITAL, "", Sampling(min_tokens=0, logprobs=logprobs)).tokens:
        assert len(token.top) == expected
        assert all(a >= b for (_, a), (_, b) in pairwise(token.top))


def test_the_corpus_is_loaded_once_and_continues_a_prompt() -> None:
    """The corpus of the package is loaded once and continues the beginning of a tale."""
    assert load() is load()
    assert complete(load(), "Once upon a", replace(GREEDY, max_tokens=1)).text == " time"


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_gives_the_same_completion(hash_seed: str) -> None:
    """Two processes give the same text, though Python orders their sets differently."""
    program = (
        "from writer_cli.sandbox.language_model import Sampling, load\n"
        "print(load().complete('The sea', Sampling(n=3, best_of=5, logprobs=4), 7))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
        text=True,
    )
    here = load().complete("The sea", Sampling(n=3, best_of=5, logprobs=4), 7)
    assert done.stdout == f"{here}\n"
