"""Tests of `writer config`."""
