"""The models that Writer has removed, and what it names in their place."""

from datetime import date
from typing import NamedTuple


class Retirement(NamedTuple):
    """When a model was removed, and what Writer names in its place."""

    day: date
    successor: str


RETIRED_MODELS = dict.fromkeys(
    (
        "palmyra-x-003-instruct",
        "palmyra-vision",
        "palmyra-med",
        "palmyra-fin",
        "palmyra-creative",
    ),
    Retirement(date(2026, 7, 13), "palmyra-x5"),
)
"""Models that were removed; an unknown id is sent as it is, for organizations have their own."""
