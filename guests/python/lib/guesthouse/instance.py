"""What an instance does once, before its first request: settings into place, randomness renewed, the project loaded.

Nothing of the project has run before: the image holds the libraries, already imported, and the project's modules only
as code. So a project sees its settings and environment from its first line on, as it would anywhere else.
"""

import gc
import importlib
import os
import random
import sys

from guesthouse import archive, overlay, settings

#: "module:object", set when the image is made.
wsgi = None

_application = None
_failure = None


def application():
    """The WSGI application. Raises what the project raised while it was loaded, on every call again."""
    global _application, _failure
    if _application is not None:
        if not gc.isenabled():
            _collect_from_now_on()
        return _application
    if _failure is not None:
        # Trying again would mostly hide the cause: Django, for one, only says that it cannot be set up twice.
        raise RuntimeError("the project could not be loaded (see the cause above)") from _failure
    try:
        _prepare()
        _application = _load(wsgi)
    except BaseException as error:
        _failure = error
        raise
    return _application


def _collect_from_now_on():
    # The image comes with collections switched off, and many an instance ends with its first request. For one that
    # lives on they are worth while, and what was loaded stays: collections need not look at it again.
    gc.freeze()
    gc.enable()


def _prepare():
    # The directories of the build are gone.
    sys.path[:] = [archive.APP, archive.SITE, archive.STDLIB]
    random.seed()
    overlay.prepare(settings.as_dict())


def _load(name):
    module_name, _, path = name.partition(":")
    found = importlib.import_module(module_name)
    for part in path.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"{name} is no WSGI application: {type(found).__name__} cannot be called")
    return found
