"""One HTTP exchange with an API: a `Call` goes out, an `Answer` or a stream comes back.

`connection.py` is the way in. Only this room and the sandbox import the HTTP library.
"""
