"""A small language model, so that every sampling field of a request means what it says.

It is an interpolated n-gram model: the next token depends on up to three tokens before it. Each
order is smoothed into the next lower one as Witten and Bell do,

    P(w | h) = (c(h, w) + N(h) * P(w | h')) / (c(h) + N(h)),

where `h'` is the context `h` without its first token, `c` counts and `N(h)` is the number of
different tokens seen after `h`. At the bottom is the uniform distribution: every token is possible
everywhere.
"""

import heapq
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from math import exp, fsum, inf, log
from random import Random
from typing import Literal

# The token that ends a paragraph, and so the one before the next. Empty, as no token of a text is.
END = ""

_CONTEXT = 3  # tokens; with more, so small a corpus would only be recited

# A word takes its apostrophes and the one space before it; a mark takes that space too. White
# space leaves one space to what follows it.
_TOKEN = re.compile(r" ?\w+(?:['’]\w+)*| ?[^\w\s]|\s+?(?= ?\S|\Z)")  # noqa: RUF001 - an apostrophe


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """What of a completion request shapes the text. The ranges are for the caller to check.

    Attributes:
        max_tokens: The most tokens of a choice, 0 or more; it wins over `min_tokens`.
        min_tokens: The fewest, 0 or more: what would end the text earlier cannot be drawn.
        temperature: 0 takes the likeliest token; above, log probabilities are divided by it.
        top_p: From 0 to 1: only the fewest likeliest tokens that together are this probable can
            be drawn, and always one.
        stop: Texts, none of them empty; a choice ends right before the first of them.
        presence_penalty: What the log probability of a token loses if the choice has it already.
        frequency_penalty: What it loses for each time that the choice has it already.
        n: The number of choices, 1 or more.
        best_of: How many are made to keep the `n` likeliest; None, or fewer than `n`, is `n`.
        logprobs: How many alternatives each token comes with, 0 or more; None is 0.
    """

    max_tokens: int = 64
    min_tokens: int = 1
    temperature: float = 0.7
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    n: int = 1
    best_of: int | None = None
    logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a completion.

    Attributes:
        text: Never empty. A stop sequence may have cut the last token of a choice short.
        logprob: The natural logarithm of the probability with which the whole token was drawn.
        top: The likeliest tokens in its place, with their log probabilities, best first. There
            are fewer than asked for if fewer could be drawn; `END` may be one of them.
    """

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A completion, and whether it came to an end (or a stop sequence) or to `max_tokens`."""

    tokens: tuple[Token, ...]
    finish_reason: Literal["stop", "length"]

    @property
    def text(self) -> str:
        """The text of all tokens."""
        return "".join(token.text for token in self.tokens)

    @property
    def mean_logprob(self) -> float:
        """The mean of the tokens; without any minus infinity, as silence is never the best."""
        if not self.tokens:
            return -inf
        return fsum(token.logprob for token in self.tokens) / len(self.tokens)


def tokenize(text: str) -> list[str]:
    """Split any text into tokens, none of them empty; joined, they are the text again."""
    return _TOKEN.findall(text)


@cache
def load() -> "LanguageModel":
    """Return the model of the corpus in this package; the first call trains it."""
    from importlib.resources import files

    return LanguageModel(files(__package__).joinpath("corpus.txt").read_text(encoding="utf-8"))


class LanguageModel:
    """The model of a text, in which each line that is not blank is a paragraph of its own.

    There must be one. The same text makes the same model in every process.
    """

    def __init__(self, text: str) -> None:
        # The text is its own table of counts: what followed a context is looked up when needed.
        self._stream = [END]
        for line in text.split("\n"):
            if line.strip():
                self._stream += [*tokenize(line), END]
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        for place, token in enumerate(self._stream[:-1], 1):
            self._places[token].append(place)

        # Commonest first: that decides ties, and it leaves little to do for the sort of `top_p`.
        counts = Counter(self._stream[1:])
        total = counts.total() + len(counts)
        self._unigrams = {token: (count + 1) / total for token, count in counts.most_common()}
        self._log_unigrams = [log(p) for p in self._unigrams.values()]
        self._vocabulary = list(self._unigrams)
        self._index = {token: index for index, token in enumerate(self._vocabulary)}

    def distribution(self, context: Sequence[str]) -> dict[str, float]:
        """Return the probability of every token of the vocabulary, `END` included, after a context.

        The last three tokens of the context count. A paragraph begins if it is empty, and after
        `END` or a token with a line feed. An unknown token was never followed by anything, so
        nothing before it counts.
        """
        return dict(zip(self._vocabulary, map(exp, self._log_probs(context)), strict=True))

    def complete(self, prompt: str, sampling: Sampling, seed: int | str) -> list[Choice]:
        """Return `n` choices that continue the prompt, the same ones for the same arguments.

        If `best_of` is greater than `n`, they are those with the highest mean log probability,
        best first. Otherwise they stand in the order of their random streams.

        Log probabilities are those of the distribution that was drawn from: penalties come first,
        then temperature, `min_tokens`, `top_p`. At temperature 0 nothing is drawn, and they are
        the model's own, those at temperature 1.
        """
        # A space at the end belongs to the word that follows it.
        context = tokenize(prompt.rstrip(" "))
        choices = [
            self._choice(context, sampling, Random(f"{seed}/{index}"))  # noqa: S311 - no secret
            for index in range(max(sampling.n, sampling.best_of or 0))
        ]
        if len(choices) > sampling.n:
            choices.sort(key=lambda choice: choice.mean_logprob, reverse=True)
        return choices[: sampling.n]

    def _choice(self, context: list[str], sampling: Sampling, random: Random) -> Choice:
        said: list[str] = []
        tokens: list[Token] = []
        for _ in range(sampling.max_tokens):
            weights = self._weights([*context[-_CONTEXT:], *said[-_CONTEXT:]], said, sampling)
            if sampling.temperature:
                [index] = random.choices(range(len(weights)), weights)
            else:
                index = weights.index(1.0)
            if self._vocabulary[index] == END:
                return Choice(tuple(tokens), "stop")
            said.append(self._vocabulary[index])
            tokens.append(self._token(index, weights, sampling.logprobs or 0))
            text = "".join(said)
            cuts = [cut for stop in sampling.stop if (cut := text.find(stop)) >= 0]
            if cuts:
                return Choice(_cut(tokens, min(cuts)), "stop")
        return Choice(tuple(tokens), "length")

    def _weights(self, context: list[str], said: list[str], sampling: Sampling) -> list[float]:
        """Weigh each token, by vocabulary index: 1 is the likeliest, 0 cannot be drawn."""
        logits = self._log_probs(context)
        for token, count in Counter(said).items():
            penalty = sampling.presence_penalty + sampling.frequency_penalty * count
            logits[self._index[token]] -= penalty
        for token in self._too_early(said, sampling):
            logits[self._index[token]] = -inf
        best, temperature = max(logits), sampling.temperature or 1.0
        if best == -inf:  # nothing may follow, so the text ends, however short it is
            best = logits[self._index[END]] = 0.0
        # What is divided by the temperature is never positive, so nothing overflows.
        weights = [exp((logit - best) / temperature) for logit in logits]
        if sampling.top_p < 1:
            order = sorted(range(len(weights)), key=weights.__getitem__, reverse=True)
            sums = list(accumulate(weights[index] for index in order))
            for index in order[bisect_left(sums, sampling.top_p * sums[-1]) + 1 :]:
                weights[index] = 0.0
        return weights

    def _too_early(self, said: list[str], sampling: Sampling) -> list[str]:
        """List the tokens that would end the text with fewer than `min_tokens`."""
        if not sampling.min_tokens:
            return []
        missing = sampling.min_tokens - len(said)
        early = [END] if missing > 0 else []
        text = "".join(said)
        # A cut is too early up to where the last of the fewest tokens begins.
        limit = inf if missing > 1 else len("".join(said[: sampling.min_tokens - 1]))
        for stop in sampling.stop:
            # The text has no stop sequence yet, so one that comes up begins in this tail.
            tail = text[-len(stop) :]
            last = limit - len(text) + len(tail)
            if last >= 0:
                early += [w for w in self._vocabulary if 0 <= (tail + w).find(stop) <= last]
        return early

    def _token(self, index: int, weights: list[float], alternatives: int) -> Token:
        # A difference, because the quotient of a very small weight and the sum may be zero.
        log_total = log(fsum(weights))
        likeliest = heapq.nlargest(alternatives, range(len(weights)), key=weights.__getitem__)
        drawable = [i for i in likeliest if weights[i]]
        top = [(self._vocabulary[i], log(weights[i]) - log_total) for i in drawable]
        return Token(self._vocabulary[index], log(weights[index]) - log_total, tuple(top))

    def _log_probs(self, context: Sequence[str]) -> list[float]:
        """Return the log probability of each token after a context, by vocabulary index."""
        history = [END if "\n" in token else token for token in (END, *context[-_CONTEXT:])]
        places = self._places.get(history[-1], [])
        seen: dict[str, float] = {}  # the tokens that followed the last one, and P(w | h)
        unseen = 1.0  # what P(w | h) of any other token is to its unigram probability
        for back, token in enumerate(reversed(history[-_CONTEXT:]), 1):
            places = [place for place in places if self._stream[place - back] == token]
            if not places:
                break
            counts = Counter(self._stream[place] for place in places)
            total = counts.total() + len(counts)
            lower = seen or {w: self._unigrams[w] for w in counts}
            seen = {w: (counts.get(w, 0) + len(counts) * p) / total for w, p in lower.items()}
            unseen *= len(counts) / total
            if token == END:
                break
        # Few tokens are seen, so few need a logarithm of their own.
        log_unseen = log(unseen)
        log_probs = [log_unseen + log_unigram for log_unigram in self._log_unigrams]
        for token, probability in seen.items():
            log_probs[self._index[token]] = log(probability)
        return log_probs


def _cut(tokens: list[Token], length: int) -> tuple[Token, ...]:
    """Return the first tokens, the last of them shortened, that have this many characters."""
    kept = []
    for token in tokens:
        if length > 0:
            kept.append(replace(token, text=token.text[:length]))
        length -= len(token.text)
    return tuple(kept)
