"""Whether a text was there before, in little memory."""

import hashlib
from array import array


class Seen:
    """Which texts were seen before, at some 20 bytes each: a set of a million takes 100 MB."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._used = 0

    def has(self, text: str) -> bool:
        """Return whether it was seen, and see it."""
        number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) or 1
        if not self._put(number):
            return True
        self._used += 1
        if self._used * 4 > len(self._slots) * 3:
            old, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
            for known in old:
                if known:
                    self._put(known)
        return False

    def _put(self, number: int) -> bool:
        mask = len(self._slots) - 1
        slot = number & mask
        while self._slots[slot]:
            if self._slots[slot] == number:
                return False
            slot = (slot + 1) & mask
        self._slots[slot] = number
        return True
