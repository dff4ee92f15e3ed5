"""The help: what it says of each command and topic, and how that is laid out. It prints nothing."""
