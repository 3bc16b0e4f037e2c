"""No network while a component is built.

Some libraries try it when they are imported: urllib3 finds out so whether there is IPv6. The C library would keep the handle
that it got for that, and in an instance the same number means something else.
"""

import errno
import socket

_functions = {}


def refuse():
    for owner, name in ((socket.socket, "__init__"), (socket, "getaddrinfo"), (socket, "gethostbyname")):
        if hasattr(owner, name):
            _functions[owner, name] = getattr(owner, name)
            setattr(owner, name, _refused)


def allow():
    for (owner, name), function in _functions.items():
        setattr(owner, name, function)
    _functions.clear()


def _refused(*arguments, **options):
    raise OSError(errno.ENETDOWN, "there is no network while a component is built")
