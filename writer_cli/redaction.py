"""What of a text that is not ours a message may quote: no key, and no whole page."""

import re
from functools import lru_cache

SHORTEST_KEY = 8
"""Characters; what is shorter is no key of Writer's, and may be part of any word."""

EXCERPT_LENGTH = 200
"""Characters of a page that is not JSON which an error message quotes."""


def redact(text: str, key: str | None) -> str:
    """Take the key, its repeated tail and anything that looks like a key out of a server's text.

    Servers have been seen to answer a wrong key with its last four characters and its SHA-256.
    """
    key = (key or "").removeprefix("Bearer ")  # as it may have been pasted
    if len(key) >= SHORTEST_KEY:
        text = _however_written(key).sub(_REDACTED, text)
        text = text.replace(f"...{key[-4:]}", f"...{_REDACTED}")
    return _LOOKS_LIKE_A_KEY.sub(_REDACTED, text)


@lru_cache(maxsize=16)
def _however_written(key: str) -> re.Pattern[str]:
    """Match a key as it is, and as JSON, HTML and an address may write each character of it."""
    import html

    return re.compile(
        "".join(
            rf"(?:\\?{re.escape(character)}|{re.escape(html.escape(character))}"
            rf"|(?i:\\u{ord(character):04x}|&#0*{ord(character)};|&#x0*{ord(character):x};"
            rf"|%{ord(character):02x}))"
            for character in key
        )
    )


_REDACTED = "[redacted]"
_LOOKS_LIKE_A_KEY = re.compile(
    r"\b(?:sk|pk)-[\w.-]{4,}"  # a key, or the masked one in "Received API Key = sk-...0000"
    r"|\b[0-9a-fA-F]{64}\b"  # the SHA-256 of one
    r"|(?<=Bearer )[\w.~+/-]{8,}"
)


def cleaned_excerpt(page: str) -> str:
    """Cut a page down to the first words that a person would see of it."""
    # A hostile page may be megabytes long; what is quoted stands near its beginning.
    page = page[: 50 * EXCERPT_LENGTH]
    text = re.sub(r"<(script|style|head)\b.*?</\1>", " ", page, flags=re.DOTALL | re.IGNORECASE)
    import html

    text = " ".join(html.unescape(re.sub(r"<[^<>]*>", " ", text)).split())
    return text if len(text) <= EXCERPT_LENGTH else text[: EXCERPT_LENGTH - 1] + "…"
