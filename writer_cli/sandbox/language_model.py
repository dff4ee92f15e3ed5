"""A small language model, so that all sampling parameters have their real effect.

It is an interpolated n-gram model: the next token depends on up to three tokens before it. Each
order is interpolated with the next lower one (Witten-Bell smoothing),

    P(w | h) = (c(h, w) + N(h) * P(w | h')) / (c(h) + N(h)),

where `h'` is the context `h` without its first token, `c` counts and `N(h)` is the number of
different tokens observed after `h`. The lowest order is the uniform distribution: every token is
possible everywhere.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import islice
from math import exp, fsum, inf, log
from random import Random
from typing import Literal

from writer_cli.sandbox.weights import Interpolated, Stored, Weights, draw, most_likely

# The token between paragraphs. It is empty, unlike any token of a text.
END = ""

_CONTEXT = 3  # tokens; with more, so small a corpus would only be repeated word for word

# Below, a probability to the power of 1 / temperature could underflow to zero.
_LOW = 0.1

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
        stream = [END]
        for line in text.split("\n"):
            if line.strip():
                stream += [*tokenize(line), END]
        counts = Counter(stream[1:])
        # Most common first: this order breaks ties.
        self._vocabulary = [token for token, _ in counts.most_common()]
        self._index = {token: index for index, token in enumerate(self._vocabulary)}
        total = counts.total() + len(counts)
        self._unigrams = [(counts[token] + 1) / total for token in self._vocabulary]

        # There is no table of counts: the text itself is searched when counts are needed.
        self._stream = [self._index[token] for token in stream]
        self._positions: defaultdict[int, list[int]] = defaultdict(list)
        for position, index in enumerate(self._stream[:-1], 1):
            self._positions[index].append(position)
        self._observed = lru_cache(maxsize=4096)(self._observe)
        self._weights_after = lru_cache(maxsize=4096)(self._interpolate)

    def distribution(self, context: Sequence[str]) -> dict[str, float]:
        """Return the probability of every token of the vocabulary, `END` included, after a context.

        Only the last three tokens of the context are used. An empty context begins a paragraph,
        and so does `END` or a token with a line feed. Tokens before an unknown token are ignored.
        """
        weights = self._weights_after(self._history(context), 1.0)
        return dict(zip(self._vocabulary, weights.each(), strict=True))

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
                index = draw(weights, random)
            else:
                index, _ = next(weights.likeliest())
            if self._vocabulary[index] == END:
                return Choice(tuple(tokens), "stop")
            generated.append(self._vocabulary[index])
            tokens.append(self._token(index, weights, sampling.logprobs or 0))
            text = "".join(generated)
            cuts = [cut for stop in sampling.stop if (cut := text.find(stop)) >= 0]
            if cuts:
                return Choice(_cut(tokens, min(cuts)), "stop")
        return Choice(tuple(tokens), "length")

    def _weights(self, context: list[str], generated: list[str], sampling: Sampling) -> Weights:
        """Return a weight for each token, 0 for an excluded one."""
        history = self._history(context)
        temperature = sampling.temperature or 1.0
        excluded = {self._index[token] for token in self._too_early(generated, sampling)}
        if len(excluded) == len(self._vocabulary):  # the text ends, even before `min_tokens`
            excluded.discard(self._index[END])
        if sampling.presence_penalty or sampling.frequency_penalty or temperature < _LOW:
            weights = self._weights_from_logits(history, generated, sampling, excluded)
        else:
            weights = self._weights_after(history, temperature)
            if excluded:
                weights = Interpolated(dict.fromkeys(excluded, 0.0), 1.0, weights)
        return most_likely(weights, sampling.top_p) if sampling.top_p < 1 else weights

    def _weights_from_logits(
        self,
        history: tuple[int, ...],
        generated: list[str],
        sampling: Sampling,
        excluded: set[int],
    ) -> Weights:
        """Return the weights with penalties or at a low temperature: 1 for the likeliest token."""
        logits = list(map(log, self._weights_after(history, 1.0).each()))
        for token, count in Counter(generated).items():
            penalty = sampling.presence_penalty + sampling.frequency_penalty * count
            logits[self._index[token]] -= penalty
        for index in excluded:
            logits[index] = -inf
        best, temperature = max(logits), sampling.temperature or 1.0
        # The dividend is never positive, so `exp` cannot overflow.
        return Stored([exp((logit - best) / temperature) for logit in logits])

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

    def _token(self, index: int, weights: Weights, alternatives: int) -> Token:
        # A difference of logarithms, because a quotient could underflow to zero.
        log_total = log(weights.total)
        likeliest = islice(weights.likeliest(), alternatives) if alternatives else ()
        top = [(self._vocabulary[i], log(weight) - log_total) for i, weight in likeliest]
        return Token(self._vocabulary[index], log(weights[index]) - log_total, tuple(top))

    def _history(self, context: Sequence[str]) -> tuple[int, ...]:
        """Return the one to three tokens that matter, by index; -1 for an unknown one."""
        history = [END if "\n" in token else token for token in (END, *context[-_CONTEXT:])]
        begin = max(index for index, token in enumerate(history) if token == END)
        return tuple(self._index.get(token, -1) for token in history[begin:][-_CONTEXT:])

    def _observe(self, history: tuple[int, ...]) -> list[int]:
        """Return the positions in the text right after this history."""
        if len(history) == 1:
            return self._positions.get(history[0], [])
        first, last = self._observed(history[:-1]), self._observed(history[1:])
        if len(first) < len(last):
            return [p + 1 for p in first if self._stream[p] == history[-1]]
        return [p for p in last if self._stream[p - len(history)] == history[0]]

    def _interpolate(self, history: tuple[int, ...], temperature: float) -> Weights:
        """Return `P(w | h) ** (1 / temperature)` for each token `w`."""
        if not history:
            return Stored([p ** (1 / temperature) for p in self._unigrams])
        shorter = self._weights_after(history[1:], temperature)
        positions = self._observed(history)
        if not positions:
            return shorter
        counts = Counter(self._stream[position] for position in positions)
        total = counts.total() + len(counts)
        lower = self._weights_after(history[1:], 1.0)
        own = {
            index: ((count + len(counts) * lower[index]) / total) ** (1 / temperature)
            for index, count in counts.items()
        }
        return Interpolated(own, (len(counts) / total) ** (1 / temperature), shorter)


def _cut(tokens: list[Token], length: int) -> tuple[Token, ...]:
    """Return the tokens of the first `length` characters, the last one cut."""
    kept = []
    for token in tokens:
        if length > 0:
            kept.append(replace(token, text=token.text[:length]))
        length -= len(token.text)
    return tuple(kept)
