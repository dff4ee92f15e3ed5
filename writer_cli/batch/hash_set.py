"""A set that stores only a 64-bit hash of each string, to save memory."""

import hashlib
from array import array


class HashSet:
    """A set of strings as hashes, with open addressing; two strings with one hash are unlikely.

    It needs 11 to 21 bytes a string, and briefly more while it grows.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._used = 0

    def add(self, text: str) -> bool:
        """Add a string, and return whether it is new."""
        digest = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) or 1
        if not self._put(digest):
            return False
        self._used += 1
        if self._used * 4 > len(self._slots) * 3:
            old, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
            for known in old:
                if known:
                    self._put(known)
        return True

    def _put(self, digest: int) -> bool:
        mask = len(self._slots) - 1
        slot = digest & mask
        while self._slots[slot]:
            if self._slots[slot] == digest:
                return False
            slot = (slot + 1) & mask
        self._slots[slot] = digest
        return True
