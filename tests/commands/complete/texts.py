"""Texts that the tests of `writer complete` share."""

STORY = "Once upon a time"


HOSTILE = "\x1b[2J\x07\x00\x9b31m\u202edrow\u2066 \x7f\tok\r\n"
"""A text that clears a terminal, rings the bell, changes colours and reverses words."""
