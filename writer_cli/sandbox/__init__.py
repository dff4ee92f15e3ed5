"""The embedded Writer: answers as the API does, with no key and no network.

It is written from the description of the wire, and not with `writer_cli.apis`, so that one
misreading of that description cannot cancel itself out.
"""

ADDRESS = "http://sandbox.localhost"
"""The address that it seems to have when it answers in this process."""


PREFIXES = {"openai": "/openai"}
"""Where the paths of an API begin, for an API that has paths in common with another one."""


def url(address: str, api: str) -> str:
    """Return the base URL of an API at the address of a sandbox."""
    return address + PREFIXES.get(api, "")


KEY = "the-sandbox-needs-none"
"""The key that is sent to it, for a client sends one; no other text has it, for it is redacted."""

MODEL = "sandbox"
ORGANIZATION = 1
"""What is asked where nothing says what to ask; any other is answered too."""
