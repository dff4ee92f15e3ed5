"""The models that Writer has removed, each with its replacement."""

from datetime import date
from typing import NamedTuple


class Retirement(NamedTuple):
    """The day on which a model was removed, and the model that Writer names as its successor."""

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
"""An id that is not in the list is sent as it is: organizations have models of their own."""
