"""Tests of `writer complete`."""
