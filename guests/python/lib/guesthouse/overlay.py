"""The manifest's settings over those of an unmodified Django project.

- The setting ``DJANGO_SETTINGS_MODULE`` becomes the environment variable of that name, which ``manage.py`` and ``wsgi.py``
  leave alone when it is set. Without it the project's own default holds.
- Every other setting with an upper-case name replaces the attribute of that name in the settings module, after the
  module has run: ``TIME_ZONE = "Asia/Tokyo"`` in the manifest holds whatever ``settings.py`` says. What ``settings.py``
  itself computed from its old value stays as computed.
- A table is merged, key by key, into a setting that is a ``dict``: ``DATABASES.default.NAME`` replaces that name alone.
  All else, lists too, is replaced as a whole.
- A setting keeps its kind where TOML has none of its own: tuples, sets and paths stay what they were.

Only the module named by ``DJANGO_SETTINGS_MODULE`` is touched, not those that it imports from. Where no project asks for
that variable, nothing happens here.
"""

import os
import pathlib

VARIABLE = "DJANGO_SETTINGS_MODULE"

_overrides = {}


def prepare(settings):
    """Takes the manifest's settings, before any module of the project is loaded."""
    name = settings.get(VARIABLE)
    if isinstance(name, str) and name:
        os.environ[VARIABLE] = name
    _overrides.clear()
    _overrides.update((key, value) for key, value in settings.items() if key.isupper() and key != VARIABLE)


def after_exec(module):
    """Called by the importer for each module of the project that has just run."""
    if not _overrides or module.__name__ != os.environ.get(VARIABLE):
        return
    attributes = vars(module)
    for key, value in _overrides.items():
        attributes[key] = merge(attributes.get(key), value)


def merge(old, new):
    """``new`` laid over ``old``: tables key by key, everything else as a whole, in the kind of ``old``."""
    if isinstance(old, dict) and isinstance(new, dict):
        merged = dict(old)
        for key, value in new.items():
            merged[key] = merge(old.get(key), value)
        return merged
    if isinstance(old, (tuple, set, frozenset)) and isinstance(new, list):
        return type(old)(new)
    if isinstance(old, pathlib.PurePath) and isinstance(new, str):
        return type(old)(new)
    return new
