"""Attacks on the program: a file with tables for each kind."""
