"""A small language model, so that all sampling parameters have their real effect.

It is an interpolated n-gram model: the next token depends on up to three tokens before it. Each
order is interpolated with the next lower one (Witten-Bell smoothing),

    P(w | h) = (c(h, w) + N(h) * P(w | h')) / (c(h) + N(h)),

where `h'` is the context `h` without its first token, `c` counts and `N(h)` is the number of
different tokens observed after `h`. The lowest order is the uniform distribution: every token is
possible everywhere.
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

# The token between paragraphs. It is empty, unlike any token of a text.
END = ""

_CONTEXT = 3  # tokens; with more, so small a corpus would only be repeated word for word

# A word includes its apostrophes and one space before it; so does a punctuation mark. Other white
# space leaves one space to the token after it.
_TOKEN = re.compile(r" ?\w+(?:['’]\w+)*| ?[^\w\s]|\s+?(?= ?\S|\Z)")  # noqa: RUF001 - an apostrophe


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """The parameters of a request that determine the text. The caller checks their ranges.

    Attributes:
        max_tokens: The maximum number of tokens of a choice, 0 or more; it overrides `min_tokens`.
        min_tokens: The minimum, 0 or more: tokens that would end the text earlier are excluded.
        temperature: 0 takes the most likely token; otherwise log probabilities are divided by it.
        top_p: From 0 to 1: sample only from the smallest set of most likely tokens whose
            probabilities add up to this; at least one token.
        stop: Stop sequences, none empty; a choice ends right before the first of them.
        presence_penalty: Subtracted from the log probability of a token that the choice has.
        frequency_penalty: Subtracted each time that the choice has the token.
        n: The number of choices, 1 or more.
        best_of: The number of choices of which the `n` most likely are kept; None means `n`.
        logprobs: The number of alternatives of each token, 0 or more; None means 0.
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
        text: Never empty. A stop sequence may cut the last token of a choice.
        logprob: The natural logarithm of the probability of the uncut token.
        top: The most likely tokens at this position with their log probabilities, best first;
            fewer than requested if fewer are possible. `END` may be one of them.
    """

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A completion, and why it ended: at its end or a stop sequence, or at `max_tokens`."""

    tokens: tuple[Token, ...]
    finish_reason: Literal["stop", "length"]

    @property
    def text(self) -> str:
        """The text of all tokens."""
        return "".join(token.text for token in self.tokens)

    @property
    def mean_logprob(self) -> float:
        """The mean log probability; minus infinity without tokens, so never the best."""
        if not self.tokens:
            return -inf
        return fsum(token.logprob for token in self.tokens) / len(self.tokens)


def tokenize(text: str) -> list[str]:
    """Split a text into tokens. None is empty; joined, they are the text again."""
    return _TOKEN.findall(text)


@cache
def load() -> "LanguageModel":
    """Return the model trained on the corpus of this package; the first call trains it."""
    from importlib.resources import files

    return LanguageModel(files(__package__).joinpath("corpus.txt").read_text(encoding="utf-8"))


class LanguageModel:
    """A model trained on a text; each non-blank line is a paragraph, and there must be one.

    The same text gives the same model in every process.
    """

    def __init__(self, text: str) -> None:
        # There is no table of counts: the text itself is searched when counts are needed.
        self._stream = [END]
        for line in text.split("\n"):
            if line.strip():
                self._stream += [*tokenize(line), END]
        self._positions: defaultdict[str, list[int]] = defaultdict(list)
        for position, token in enumerate(self._stream[:-1], 1):
            self._positions[token].append(position)

        # Most common first: this order breaks ties, and makes the sort for `top_p` fast.
        counts = Counter(self._stream[1:])
        total = counts.total() + len(counts)
        self._unigrams = {token: (count + 1) / total for token, count in counts.most_common()}
        self._log_unigrams = [log(p) for p in self._unigrams.values()]
        self._vocabulary = list(self._unigrams)
        self._index = {token: index for index, token in enumerate(self._vocabulary)}

    def distribution(self, context: Sequence[str]) -> dict[str, float]:
        """Return the probability of every token of the vocabulary, `END` included, after a context.

        Only the last three tokens of the context are used. An empty context begins a paragraph,
        and so does `END` or a token with a line feed. Tokens before an unknown token are ignored.
        """
        return dict(zip(self._vocabulary, map(exp, self._log_probs(context)), strict=True))

    def complete(self, prompt: str, sampling: Sampling, seed: int | str) -> list[Choice]:
        """Return `n` choices that continue the prompt; the same arguments give the same choices.

        If `best_of` is greater than `n`, they are those with the highest mean log probability,
        best first.

        Log probabilities are those of the distribution that the token was sampled from: after
        penalties, temperature, `min_tokens` and `top_p`. At temperature 0 nothing is sampled, and
        they are those of temperature 1.
        """
        # A space at the end belongs to the next word.
        context = tokenize(prompt.rstrip(" "))
        choices = [
            self._choice(context, sampling, Random(f"{seed}/{index}"))  # noqa: S311 - no secret
            for index in range(max(sampling.n, sampling.best_of or 0))
        ]
        if len(choices) > sampling.n:
            choices.sort(key=lambda choice: choice.mean_logprob, reverse=True)
        return choices[: sampling.n]

    def _choice(self, context: list[str], sampling: Sampling, random: Random) -> Choice:
        generated: list[str] = []
        tokens: list[Token] = []
        for _ in range(sampling.max_tokens):
            weights = self._weights(
                [*context[-_CONTEXT:], *generated[-_CONTEXT:]], generated, sampling
            )
            if sampling.temperature:
                [index] = random.choices(range(len(weights)), weights)
            else:
                index = weights.index(1.0)
            if self._vocabulary[index] == END:
                return Choice(tuple(tokens), "stop")
            generated.append(self._vocabulary[index])
            tokens.append(self._token(index, weights, sampling.logprobs or 0))
            text = "".join(generated)
            cuts = [cut for stop in sampling.stop if (cut := text.find(stop)) >= 0]
            if cuts:
                return Choice(_cut(tokens, min(cuts)), "stop")
        return Choice(tuple(tokens), "length")

    def _weights(self, context: list[str], generated: list[str], sampling: Sampling) -> list[float]:
        """Return a weight for each token: 1 for the most likely one, 0 for an excluded one."""
        logits = self._log_probs(context)
        for token, count in Counter(generated).items():
            penalty = sampling.presence_penalty + sampling.frequency_penalty * count
            logits[self._index[token]] -= penalty
        for token in self._too_early(generated, sampling):
            logits[self._index[token]] = -inf
        best, temperature = max(logits), sampling.temperature or 1.0
        if best == -inf:  # no token is allowed, so the text ends, even before `min_tokens`
            best = logits[self._index[END]] = 0.0
        # The dividend is never positive, so `exp` cannot overflow.
        weights = [exp((logit - best) / temperature) for logit in logits]
        if sampling.top_p < 1:
            order = sorted(range(len(weights)), key=weights.__getitem__, reverse=True)
            sums = list(accumulate(weights[index] for index in order))
            for index in order[bisect_left(sums, sampling.top_p * sums[-1]) + 1 :]:
                weights[index] = 0.0
        return weights

    def _too_early(self, generated: list[str], sampling: Sampling) -> list[str]:
        """Return the tokens that would end the text before it has `min_tokens` tokens."""
        if not sampling.min_tokens:
            return []
        missing = sampling.min_tokens - len(generated)
        early = [END] if missing > 0 else []
        text = "".join(generated)
        # A stop sequence is too early if it begins before the last of the `min_tokens` tokens.
        limit = inf if missing > 1 else len("".join(generated[: sampling.min_tokens - 1]))
        for stop in sampling.stop:
            # The text has no stop sequence yet, so a new one begins in this tail.
            tail = text[-len(stop) :]
            last = limit - len(text) + len(tail)
            if last >= 0:
                early += [w for w in self._vocabulary if 0 <= (tail + w).find(stop) <= last]
        return early

    def _token(self, index: int, weights: list[float], alternatives: int) -> Token:
        # A difference of logarithms, because a quotient could underflow to zero.
        log_total = log(fsum(weights))
        likeliest = heapq.nlargest(alternatives, range(len(weights)), key=weights.__getitem__)
        drawable = [i for i in likeliest if weights[i]]
        top = [(self._vocabulary[i], log(weights[i]) - log_total) for i in drawable]
        return Token(self._vocabulary[index], log(weights[index]) - log_total, tuple(top))

    def _log_probs(self, context: Sequence[str]) -> list[float]:
        """Return the log probability of each token after a context, by vocabulary index."""
        history = [END if "\n" in token else token for token in (END, *context[-_CONTEXT:])]
        positions = self._positions.get(history[-1], [])
        observed: dict[str, float] = {}  # the tokens observed after the context, with P(w | h)
        backoff = 1.0  # the factor of the unigram probability for all other tokens
        for back, token in enumerate(reversed(history[-_CONTEXT:]), 1):
            positions = [p for p in positions if self._stream[p - back] == token]
            if not positions:
                break
            counts = Counter(self._stream[p] for p in positions)
            total = counts.total() + len(counts)
            lower = observed or {w: self._unigrams[w] for w in counts}
            observed = {w: (counts.get(w, 0) + len(counts) * p) / total for w, p in lower.items()}
            backoff *= len(counts) / total
            if token == END:
                break
        # Few tokens are observed, so few need a logarithm of their own.
        log_backoff = log(backoff)
        log_probs = [log_backoff + log_unigram for log_unigram in self._log_unigrams]
        for token, probability in observed.items():
            log_probs[self._index[token]] = log(probability)
        return log_probs


def _cut(tokens: list[Token], length: int) -> tuple[Token, ...]:
    """Return the tokens of the first `length` characters, the last one cut."""
    kept = []
    for token in tokens:
        if length > 0:
            kept.append(replace(token, text=token.text[:length]))
        length -= len(token.text)
    return tuple(kept)
