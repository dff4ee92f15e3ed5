"""One HTTP exchange with an API: send a `Call`, return an `Answer` or a stream.

Start with `connection.py`. Only this room and the sandbox import the HTTP library.
"""
