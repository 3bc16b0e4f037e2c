"""The manifest's settings over those of an unmodified Django project.

- The setting ``DJANGO_SETTINGS_MODULE`` becomes the environment variable of that name, which ``manage.py`` and ``wsgi.py``
  leave alone when it is set. Without it the project's own default holds.
- Every other setting with an upper-case name replaces the attribute of that name in the settings module, after the
  module has run: ``TIME_ZONE = "Asia/Tokyo"`` in the manifest holds whatever ``settings.py`` says. What ``settings.py``
  itself computed from its old value stays as computed.
- A table is merged, key by key, into a setting that is a ``dict``: ``DATABASES.default.NAME`` replaces that name alone.
  All else, lists too, is replaced as a whole.
- So does every secret with an upper-case name. One with dots leads into tables: ``DATABASES.default.PASSWORD``. While an
  image is taken placeholders stand in their places (``secrets``).
- A setting keeps its kind where TOML has none of its own: tuples, sets and paths stay what they were.

Only the module named by ``DJANGO_SETTINGS_MODULE`` is touched, not those that it imports from. Where no project asks for
that variable, nothing happens here.
"""

import os
import pathlib
import sys

from guesthouse import secrets

VARIABLE = "DJANGO_SETTINGS_MODULE"

_overrides = {}
#: Names of secrets, each split at its dots.
_secrets = []


def prepare(settings, secret_names=()):
    """Takes the manifest's settings and the names of its secrets, before any module of the project is loaded."""
    name = settings.get(VARIABLE)
    if isinstance(name, str) and name:
        os.environ[VARIABLE] = name
    _overrides.clear()
    _overrides.update((key, value) for key, value in settings.items() if key.isupper() and key != VARIABLE)
    paths = [name.split(".") for name in secret_names]
    _secrets[:] = [path for path in paths if path[0].isupper()]


def after_exec(module):
    """Called by the importer for each module of the project that has just run."""
    if not (_overrides or _secrets) or module.__name__ != os.environ.get(VARIABLE):
        return
    attributes = vars(module)
    for key, value in _overrides.items():
        attributes[key] = merge(attributes.get(key), value)
    for key, value in _tree_of_secrets().items():
        attributes[key] = merge(attributes.get(key), value)
    for path in _secrets:
        secrets.remember(_table(attributes, path), path[-1])


def _tree_of_secrets():
    tree = {}
    for path in _secrets:
        table = tree
        for part in path[:-1]:
            table = table.setdefault(part, {})
        table[path[-1]] = secrets.value(".".join(path))
    return tree


def _table(attributes, path):
    for part in path[:-1]:
        attributes = attributes[part]
    return attributes


def put_secrets_in_place():
    """Called in an instance that starts from an image, after ``secrets.put_in_place``: Django has a copy of all settings."""
    conf = sys.modules.get("django.conf")
    if conf is None or not conf.settings.configured:
        return
    for name in {path[0] for path in _secrets}:
        value = getattr(conf.settings, name, None)
        if isinstance(value, secrets.Placeholder):
            # Also forgets what Django remembers of it.
            setattr(conf.settings, name, secrets.settled(value))


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
