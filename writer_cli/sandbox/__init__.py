"""The embedded Writer: answers as the API does, with no key and no network.

It is written from the description of the wire, and not with `writer_cli.apis`, so that one
misreading of that description cannot cancel itself out.
"""
