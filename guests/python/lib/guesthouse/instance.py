"""What an instance does once, before its first request: settings into place, randomness renewed, the project loaded.

Nothing of the project has run before: the component holds the libraries, already imported, and the project's modules only
as code. So a project sees its settings and environment from its first line on, as it would anywhere else.

Where the host takes an image of the app (``snapshot``), all this has happened before the image was taken. Then an instance
only renews what must not be the same in all of them (``renewal``), and puts secrets in
their places (``secrets``).
"""

import gc
import importlib
import random
import sys

from guesthouse import archive, hints, overlay, renewal, secrets, settings

#: "module:object" or "module:function()", set when the component is made.
wsgi = None

_application = None
_failure = None
#: What is to be done before the application is next given out; nothing in most requests.
_before_next = None


def application():
    """The WSGI application. Raises what the project raised while it was loaded, on every call again."""
    if _before_next is not None:
        _before_next()
    return _application


def prepare():
    """What a command needs: settings in place, nothing of the project loaded yet."""
    global _before_next
    if _before_next is _start:
        _prepare()
        _before_next = _start_prepared
        # A command may go on for long, and make much.
        gc.enable()


def snapshot_taken():
    """From here on, this memory is the image: whoever asks for the application next runs in an instance of its own."""
    global _before_next
    _before_next = _resume


def _start():
    _start_with(_prepare)


def _start_prepared():
    _start_with(lambda: None)


def _start_with(prepare):
    global _application, _failure, _before_next
    if _failure is not None:
        # Trying again would mostly hide the cause: Django, for one, only says that it cannot be set up twice.
        raise RuntimeError("the project could not be loaded (see the cause above)") from _failure
    try:
        prepare()
        _application = _load(wsgi)
        if archive.mounted:
            _load_urls()
    except BaseException as error:
        hints.note_about_module(error)
        _failure = error
        raise
    _before_next = _collect_from_now_on


def _resume():
    global _before_next
    _before_next = _collect_from_now_on
    renewal.renew()
    secrets.put_in_place()
    overlay.put_secrets_in_place()


def _collect_from_now_on():
    # The image comes with collections switched off, and many an instance ends with its first request. For one that
    # lives on they are worth while, and what was loaded stays: collections need not look at it again.
    global _before_next
    _before_next = None
    gc.freeze()
    gc.enable()


def _prepare():
    # The directories of the build are gone.
    sys.path[:] = [archive.APP, archive.SITE, archive.STDLIB]
    random.seed()
    overlay.prepare(settings.as_dict(), secrets.names())


def _load_urls():
    """Loads a Django project's URLconf with its views, so that what is wrong with them is told at once.

    Django loads it with the first request; where that fails, its page that explains failures wants it too, and each
    middleware makes another such page.
    """
    conf = sys.modules.get("django.conf")
    if conf is not None and conf.settings.configured and getattr(conf.settings, "ROOT_URLCONF", None):
        importlib.import_module(conf.settings.ROOT_URLCONF)


def _load(name):
    module_name, _, path = name.partition(":")
    found = importlib.import_module(module_name)
    for part in path.removesuffix("()").split("."):
        found = getattr(found, part)
    if path.endswith("()"):
        # A function that makes it, such as Flask's `create_app`.
        found = found()
    if not callable(found):
        raise TypeError(f"{name} is no WSGI application: {type(found).__name__} cannot be called")
    return found


_before_next = _start
