"""Clients and failures of streams."""

import writer_cli as writer

KEY = "kW8-secret"


REQUEST = writer.CompletionRequest(prompt="p")


FAIL = {"tpe": "TooManyRequests", "errors": [{"description": "too many", "key": "k"}]}
