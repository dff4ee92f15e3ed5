"""One file a command: options, a class of flags, and `run(options, app)`.

A command neither speaks HTTP nor prints.
"""
