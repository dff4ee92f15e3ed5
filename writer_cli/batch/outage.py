"""Whether a server answers nobody at the moment, and when to ask it again."""

ENOUGH_RECORDS = 5
ENOUGH_SECONDS = 1.0
"""So many records have failed on their first attempt, for so long, and none was answered: the
server is down for everybody. Fewer failures are the records' own."""

FIRST_PROBE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds between two probes: an eighth of the outage's length, within these bounds. So the batch
is back within an eighth of the time that was lost anyway."""


class Outage:
    """Counts failures: answers with a 5xx status, broken connections, timeouts.

    Attributes:
        probe_at: When the next request may be sent while the server is down.
        is_on: Whether the server counts as down.
    """

    def __init__(self) -> None:
        self.is_on = False
        self.probe_at = 0.0
        self._records = 0
        self._began = 0.0
        self._first_number = 0

    def sent(self, now: float) -> None:
        """Take note of a probe, and plan the next one."""
        self.probe_at = now + min(LONGEST_PAUSE, max(FIRST_PROBE, (now - self._began) / 8))

    def failed(self, now: float, number: int, *, is_first_attempt: bool) -> None:
        """Take note of a failure of the request with this number."""
        if is_first_attempt:
            if self._records == 0:
                self._began, self._first_number = now, number
            self._records += 1
        if not self.is_on and self._records >= ENOUGH_RECORDS:
            self.is_on = now - self._began >= ENOUGH_SECONDS
            self.probe_at = now + FIRST_PROBE

    def answered(self, number: int) -> None:
        """Take note of an answer: the server is up, unless the request was sent before."""
        if self._records and number > self._first_number:
            self._records = 0
            self.is_on = False
