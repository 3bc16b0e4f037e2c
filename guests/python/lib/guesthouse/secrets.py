"""The secrets that the manifest names for this app, in ``[apps.NAME.secrets]``.

A thin layer over the interface ``guesthouse:secrets/secrets`` (see ``wit/deps/guesthouse-secrets``). A Django project needs
nothing of it: secrets with upper-case names are put into its settings (``overlay``). Others ask when a request wants one, or
fill a mapping that a framework reads later:

    from guesthouse import secrets
    secrets.get("API_KEY")                  # a str, or LookupError
    secrets.get("API_KEY", None)            # or the default
    secrets.fill(app.config)                # all of them, as app.config["API_KEY"]

While the host takes an image of the app (``snapshot``) nothing is revealed: every instance would have it, and so would the
image on the disk. ``get`` raises ``TooEarly`` then, and there is no image. What ``fill`` and ``overlay`` put somewhere is a
placeholder until the first request of an instance.
"""

import contextlib

from componentize_py_types import Err
from wit_world.imports import secrets as _host

from guesthouse import settings

_NO_DEFAULT = object()

#: Whether the memory as it is now is to be an image.
_taking = False
#: Whether a framework runs for practice alone, with what it may take for secrets.
_practising = False
#: What was raised because a secret was asked for while the image was taken, whoever caught it.
too_early = None
#: (mapping, key) of all placeholders.
_placeholders = []


class Secret(str):
    """A secret's text: a ``str`` as any other, but for its representation, which tracebacks, debugging pages and lists of
    settings show."""

    __slots__ = ()

    def __repr__(self):
        return "'********'"


class TooEarly(RuntimeError):
    """A secret was asked for while the image of the app was taken."""


def get(name, default=_NO_DEFAULT):
    """The secret of this name; ``default`` or ``LookupError`` where the manifest names none."""
    if settings._building:
        raise settings.NotServing("secrets are not known while the component is built: read them when a request is served")
    if _taking and name in _host.names():
        raise _refused(name)
    try:
        with _host.get(name) as secret:
            return Secret(secret.reveal())
    except Err:
        if default is _NO_DEFAULT:
            raise LookupError(f"the manifest names no secret {name!r} for this app: add it to [apps.NAME.secrets]") from None
        return default


def names():
    """The names of all secrets of this app; they are no secrets."""
    if settings._building:
        raise settings.NotServing("secrets are not known while the component is built")
    return _host.names()


def fill(mapping, *only):
    """Puts secrets into a mapping under their names: these, or all whose names have no dots.

    To be used where the application is made, such as with Flask's ``app.config``: while an image is taken placeholders stand
    there, which become texts before the first request of an instance.
    """
    for name in only or [name for name in names() if "." not in name]:
        mapping[name] = value(name)
        remember(mapping, name)


def value(name):
    """The secret itself, or a placeholder while an image is taken."""
    return Placeholder(name) if _taking else get(name)


def remember(mapping, key):
    """Has the placeholder that stands there, if one does, replaced in each instance."""
    if isinstance(mapping[key], Placeholder):
        _placeholders.append((mapping, key))


class Placeholder:
    """Stands for a secret in an image. Whoever kept one can use it as a text when requests are served."""

    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return "'********'"

    def __bool__(self):
        # No secret is empty.
        return True

    def __str__(self):
        return "practice" if _practising else str(get(self._name))

    def __getattr__(self, name):
        # Such as ``encode``. Python itself asks for names with underscores, of whatever it copies for instance.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(str(self), name)

    def __eq__(self, other):
        return self is other or str(self) == other

    def __hash__(self):
        return hash(str(self))

    def __len__(self):
        return len(str(self))

    def __iter__(self):
        return iter(str(self))

    def __getitem__(self, index):
        return str(self)[index]

    def __contains__(self, part):
        return part in str(self)

    def __add__(self, other):
        return str(self) + other

    def __radd__(self, other):
        return other + str(self)

    def __mod__(self, values):
        return str(self) % values

    def __format__(self, spec):
        return format(str(self), spec)


def begin_image():
    """From here on this memory is to be an image."""
    global _taking
    _taking = True


@contextlib.contextmanager
def practice():
    """For a framework's code that runs for an image and whose results nobody sees: secrets are made up."""
    global _practising
    _practising = True
    try:
        yield
    finally:
        _practising = False


def put_in_place():
    """Called in an instance that starts from an image, before its first request."""
    global _taking
    _taking = False
    for mapping, key in _placeholders:
        mapping[key] = settled(mapping.get(key))
    _placeholders.clear()


def settled(value):
    """The secret that a placeholder stands for; all else as it is."""
    return get(value._name) if isinstance(value, Placeholder) else value


def _refused(name):
    global too_early
    error = TooEarly(f"the secret {name!r} was asked for while the image of the app was taken: ask for it when a request wants "
                     "it, or put it into a mapping with guesthouse.secrets.fill")
    # The first one is told, and it is told whoever catches it: what was made without the secret must not be in an image.
    too_early = too_early or error
    return error
