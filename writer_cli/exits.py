"""The exit codes of `writer`."""

from enum import IntEnum
from typing import Self

FIRST_SIGNAL_CODE = 128
"""A shell reports a process that a signal ended as 128 plus the number of the signal."""


class ExitCode(IntEnum):
    """An exit code; `reason` is its line in the documentation."""

    reason: str

    def __new__(cls, number: int, reason: str) -> Self:
        """Create a member with its number and its reason."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.reason = reason
        return member

    OK = 0, "done"
    BUG = 1, "a bug in writer"
    USAGE = 2, "usage: a flag or a prompt is wrong, or no model is named; nothing was sent"
    CONFIGURATION = 3, "configuration: no key or organization id, or an unreadable config file"
    DENIED = 4, "401 or 403: the key is wrong or has no permission for this"
    REFUSED = 5, "the API refused the request (any other 4xx)"
    LIMITED = 6, "429: rate or quota"
    SERVER = 7, "the API failed (5xx)"
    NETWORK = 8, "the network: connect, TLS, timeout"
    BAD_ANSWER = 9, "the answer does not match the API (not JSON, missing fields, cut short)"
    PARTIAL = 10, "batch: some records failed or have no answer yet"
    OUTPUT = 11, "the result could not be written (disk full, directory gone)"
    NOT_RECORDED = 12, "not recorded: --offline is set, and the cache has no answer to this request"
    HUNG_UP = 129, "the terminal was closed or the connection to it lost (SIGHUP)"
    INTERRUPTED = 130, "interrupted (Ctrl-C)"
    READER_GONE = 141, "the reader of the output closed it (`| head`)"
    TERMINATED = 143, "terminated (SIGTERM)"
