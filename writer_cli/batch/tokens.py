"""How many tokens a request will need, for `tpm`: estimated, and learned from what answers say."""

import threading

from writer_cli.models import CompletionRequest, CompletionResponse

CHARACTERS_PER_TOKEN = 4.0
"""The estimate to begin with, which is about right for English."""

ANSWER_TOKENS = 256
"""The same for an answer that has no smaller `max_tokens`."""

WEIGHT = 10
"""The estimates to begin with count as much as so many answers."""


class TokenEstimate:
    """Estimates that get better with each answer that says what it used; for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prompt_tokens = 100.0 * WEIGHT
        self._prompt_characters = self._prompt_tokens * CHARACTERS_PER_TOKEN
        self._answers = float(WEIGHT)
        self._answer_tokens = float(ANSWER_TOKENS * WEIGHT)

    def before(self, request: CompletionRequest) -> float:
        """Estimate what a request will need."""
        with self._lock:
            per_character = self._prompt_tokens / self._prompt_characters
            usual = self._answer_tokens / self._answers
        most = usual if request.max_tokens is None else min(request.max_tokens, usual)
        return (
            len(request.prompt) * per_character + max(request.n or 1, request.best_of or 1) * most
        )

    def after(self, request: CompletionRequest, answer: CompletionResponse) -> float:
        """Return what it needed, as the answer says or by its length, and learn from it."""
        usage = answer.usage
        if usage is None or usage.total_tokens is None:
            length = len(request.prompt) + sum(len(choice.text) for choice in answer.choices)
            with self._lock:
                return length * self._prompt_tokens / self._prompt_characters
        with self._lock:
            if usage.prompt_tokens is not None:
                self._prompt_tokens += usage.prompt_tokens
                self._prompt_characters += len(request.prompt)
            if usage.completion_tokens is not None:
                self._answer_tokens += usage.completion_tokens
                self._answers += max(request.n or 1, request.best_of or 1)
        return usage.total_tokens
