"""Test guest: an application that uses all of PEP 3333, behind the standard library's validator.

A breach by the server side shows as an answer 500 with the validator's AssertionError on standard error.
"""

import dis
from wsgiref.validate import validator


def inner(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise RuntimeError("failing on purpose")
    if path == "/fail-late":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return fail_late()
    if path == "/exc-info":
        return recover(start_response)
    if path == "/hop":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
        return [b"never sent"]
    if path == "/write":
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"one ")
        write(b"two ")
        return [b"three\n"]
    if path == "/none":
        start_response("204 No Content", [])
        return [b""]
    if path == "/read":
        return read(environ, start_response)
    if path == "/calls":
        call_often()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [" ".join(i.opname for i in dis.get_instructions(call_often, adaptive=True)).encode()]
    body = f"{environ['REQUEST_METHOD']} {environ['SCRIPT_NAME']}|{path}|{environ['QUERY_STRING']}\n".encode("utf-8")
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Twice", "a"), ("X-Twice", "b")])
    return [body]


def call_often():
    for number in range(200):
        called(number)


def called(number):
    return number


def read(environ, start_response):
    """Each way of reading in turn; what was read is shown."""
    body = environ["wsgi.input"]
    parts = [body.read(3), body.readline(), body.readline(2), b"".join(body.readlines(1)), b"".join(iter(body)), body.read(9)]
    environ["wsgi.errors"].write("reading done\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(part).encode() + b"\n" for part in parts]


def fail_late():
    yield b"begun\n"
    raise RuntimeError("failing on purpose, late")


def recover(start_response):
    import sys
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        raise RuntimeError("replaced on purpose")
    except RuntimeError:
        start_response("503 Service Unavailable", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"replaced\n"]


application = validator(inner)
