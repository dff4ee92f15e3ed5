"""Ask a scripted server, with a key."""

from typing import Any

import writer_cli as writer

KEY = "kW8-secret/with=signs"


STUDIO_HINT = "a key of AI Studio needs --api studio"


PATIENCE = 30.0
"""The timeout in seconds of requests that should succeed."""


def ask(
    url: str, *, key: str = KEY, timeout: float = PATIENCE, deadline: float | None = None
) -> str:
    """Return the text of a completion from this address."""
    limits: dict[str, Any] = {"timeout": timeout, "deadline": deadline, "max_retries": 0}
    with writer.Writer(key, 1, base_url=url, **limits) as client:
        response = client.completions.create(
            completion_request=writer.CompletionRequest(prompt="p"), model_id="m"
        )
    assert response.completion_response is not None
    return response.completion_response.choices[0].text
