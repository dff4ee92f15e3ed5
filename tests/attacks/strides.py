"""How much of a long table is tried: a part in the test suite, all of it by `make attacks`."""

import os
from collections.abc import Sequence
from typing import TypeVar

_Case = TypeVar("_Case")

IS_WHOLE = os.environ.get("ATTACKS") == "all"
"""Whether all cases are tried."""


def sample(cases: Sequence[_Case], number: int, *, first: int = 0) -> list[_Case]:
    """Return about this many cases, evenly spaced; `first` shifts them."""
    if IS_WHOLE or number >= len(cases):
        return list(cases)
    step = len(cases) / number
    return [cases[int(i * step + first) % len(cases)] for i in range(number)]
