"""Answers that are kept: each is asked for once, and read from a folder from then on."""
