"""What of a text that is not ours a message may quote: no key, and no whole page."""

import json
import re

EXCERPT_LENGTH = 200
"""Characters of a page that is not JSON which an error message quotes."""


def redact(text: str, key: str | None) -> str:
    """Take the key, its repeated tail and anything that looks like a key out of a server's text.

    Servers have been seen to answer a wrong key with its last four characters and its SHA-256.
    """
    if key:
        # As it is, and as JSON and HTML may write it.
        import html

        for form in (key, json.dumps(key)[1:-1], key.replace("/", r"\/"), html.escape(key)):
            text = text.replace(form, _REDACTED)
        text = text.replace(f"...{key[-4:]}", f"...{_REDACTED}")
    return _LOOKS_LIKE_A_KEY.sub(_REDACTED, text)


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
