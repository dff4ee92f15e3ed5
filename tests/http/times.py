"""A clock that moves by itself, and failures to try it on."""

KEY = "kW8-secret"


QUICK = [("retry-after-ms", "1")]
