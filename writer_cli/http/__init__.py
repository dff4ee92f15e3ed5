"""One HTTP exchange with an API: send a `Call`, return an `Answer` or a stream.

Start with `connection.py`. Only this room and the sandbox import the HTTP library.
"""

DEFAULT_TIMEOUT = 180.0
"""Seconds to wait for the next part of an answer; the same as in Writer's SDK."""

DEFAULT_MAX_RETRIES = 3
"""Attempts after the first one."""
