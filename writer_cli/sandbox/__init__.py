"""The sandbox: an embedded API that needs no key and no network.

It is written from the published API descriptions and does not use `writer_cli.apis`. If both shared
code, a misreading of the descriptions would not be noticed.
"""

ADDRESS = "http://sandbox.localhost"
"""The base URL of the sandbox in this process."""


PREFIXES = {"openai": "/openai"}
"""The path prefix of an API that has paths in common with another API."""


def url(address: str, api: str) -> str:
    """Return the base URL of an API of the sandbox at `address`."""
    return address + PREFIXES.get(api, "")


KEY = "no-key-needed"
"""The key that clients send to the sandbox. It is unusual text, because output redacts it."""

MODEL = "sandbox"
ORGANIZATION = 1
"""The default model and organization; the sandbox accepts all others too."""
