"""Tests of `writer batch`."""
