"""The commands, one file each: a class with its options, and `run(options, app)`.

A command does not use HTTP or print by itself: it calls the client and `output/`.
"""
