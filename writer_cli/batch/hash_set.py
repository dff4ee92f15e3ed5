"""A set of texts that keeps 64 bits of each: some 20 bytes a text, 100 MB for a million at most."""

import hashlib
from array import array


class HashSet:
    """A set of the hashes of texts, with open addressing. A clash of two hashes is unlikely."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._used = 0

    def add(self, text: str) -> bool:
        """Add a text, and return whether it is new."""
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
