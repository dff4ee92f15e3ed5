"""One file a command: options, a frozen dataclass, and `run(options, app)`.

A command neither speaks HTTP nor prints.
"""
