"""Shorten and redact foreign text for messages."""

import re
from collections.abc import Sequence
from functools import lru_cache

SHORTEST_KEY = 8
"""Characters of a key at least. A shorter string is not a key, and may be part of any word."""

EXCERPT_LENGTH = 200
"""Characters of an answer that an error message quotes at most."""


def redact(text: str, key: str | None) -> str:
    """Replace every `SHORTEST_KEY` characters of the key, and all that looks like a key.

    Some servers quote the last four characters of a wrong key, or its SHA-256.
    """
    key = (key or "").removeprefix("Bearer ")  # it may have been pasted with the key
    if len(key) >= SHORTEST_KEY:
        text = _encoded_key(key).sub(_REDACTED, text)
        for part in _parts(key):
            text = text.replace(part, _REDACTED)
        text = text.replace(f"...{key[-4:]}", f"...{_REDACTED}")
    return re.sub(_LOOKS_LIKE_A_KEY, _REDACTED, text)


def contains_key(text: str, key: str | None) -> bool:
    """Whether a key is part of a text, however its characters are written there."""
    key = (key or "").removeprefix("Bearer ")
    return len(key) >= SHORTEST_KEY and _encoded_key(key).search(text) is not None


@lru_cache(maxsize=16)
def _encoded_key(key: str) -> re.Pattern[str]:
    """Return a pattern for a key in plain text, JSON, HTML and URL encoding, also mixed.

    Line breaks and invisible characters between its characters match too.
    """
    import html

    return re.compile(
        _UNSEEN.join(
            rf"(?:\\?{re.escape(character)}|{re.escape(html.escape(character))}"
            rf"|(?i:\\+u{ord(character):04x}|&#0*{ord(character)};|&#x0*{ord(character):x};"
            rf"|%{ord(character):02x}))"
            for character in key
        )
    )


@lru_cache(maxsize=16)
def _parts(key: str) -> tuple[str, ...]:
    """Return every `SHORTEST_KEY` characters of a key, in each encoding."""
    import html
    from base64 import b64encode, urlsafe_b64encode
    from urllib.parse import quote

    found: list[str] = []
    for written in (
        str,
        html.escape,
        lambda character: quote(character, safe=""),
        lambda character: f"{ord(character):02x}",
        lambda character: f"{ord(character):02X}",
        lambda character: f"%{ord(character):02x}",
        lambda character: f"%{ord(character):02X}",
        lambda character: f"\\u{ord(character):04x}",
        lambda character: f"\\u{ord(character):04X}",
        lambda character: f"\\\\u{ord(character):04x}",  # a JSON text within a JSON text
        lambda character: f"\\\\u{ord(character):04X}",
        lambda character: f"&#{ord(character)};",
        lambda character: f"&#x{ord(character):x};",
        lambda character: f"&#x{ord(character):X};",
    ):
        found += _runs([written(character) for character in key], SHORTEST_KEY)
    for encode in (b64encode, urlsafe_b64encode):
        for before in range(3):  # bytes that share base64 characters with the key
            as_base64 = encode(bytes(before) + key.encode()).decode()
            first = -(-before * 4 // 3)
            found += _runs(as_base64.rstrip("=")[first:], SHORTEST_KEY * 4 // 3)
    return tuple(dict.fromkeys(found))


def _runs(parts: Sequence[str], length: int) -> list[str]:
    return ["".join(parts[i : i + length]) for i in range(len(parts) - length + 1)]


_REDACTED = "[redacted]"
_UNSEEN = (
    r"(?:[\s\u00ad\u200b-\u200f\u2060\ufeff]"
    r"|\\+(?:[nrtfv]|u(?:000[9a-d]|0020|00ad|200[b-f]|2060|feff)))" + "{0,9}"
)
_LOOKS_LIKE_A_KEY = (
    r"\b(?:sk|pk)-[\w.-]{4,}"  # a key, or the masked one in "Received API Key = sk-...0000"
    r"|\b[0-9a-fA-F]{64}\b"  # the SHA-256 of one
    r"|(?<=Bearer )[\w.~+/-]{8,}"
)


def cleaned_excerpt(page: str) -> str:
    """Return the visible text at the beginning of a page, without markup, shortened."""
    # A page may be megabytes long. Only its beginning is quoted.
    page = page[: 50 * EXCERPT_LENGTH]
    text = re.sub(r"<(script|style|head)\b.*?</\1>", " ", page, flags=re.DOTALL | re.IGNORECASE)
    import html

    text = " ".join(html.unescape(re.sub(r"<[^<>]*>", " ", text)).split())
    return text if len(text) <= EXCERPT_LENGTH else text[: EXCERPT_LENGTH - 1] + "…"
