"""The settings that the manifest names for this app, with their types.

A thin layer over the interface ``guesthouse:settings/settings`` (see ``wit/settings.wit``). Nothing is kept here: each
call asks the host, whose answers never change while the instance lives. It can be used as soon as the project's
modules are imported, but not while the component is built, when there are no settings yet.

    from guesthouse import settings
    settings.get("SITE_TITLE", "Untitled")     # str, bool, int, float, list, dict, or the default
    settings.get("DATABASES.default.NAME")
    settings.as_dict("FEATURES")
"""

import json

from wit_world.imports import settings as _host

_building = True


class NotServing(RuntimeError):
    """Settings were asked for while the component was being built."""


def get(path, default=None):
    """The value at a dotted ``path`` (TOML's syntax of dotted keys), or ``default`` where the manifest sets nothing.

    Booleans, integers, floats and texts come as such; dates and times as text in RFC 3339 form; lists and tables as
    ``list`` and ``dict``, in which infinite and not-a-number floats are the texts ``inf``, ``-inf`` and ``nan``.
    """
    _serving()
    value = _host.get(path)
    if value is None:
        return default
    if isinstance(value, (_host.Value_List, _host.Value_Table)):
        return json.loads(_host.get_json(path))
    return value.value


def as_dict(path=""):
    """The table at ``path`` as a ``dict``, in the order of the manifest; empty where there is none.

    Raises ``TypeError`` where ``path`` holds something else than a table.
    """
    _serving()
    text = _host.get_json(path)
    if text is None:
        return {}
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError(f"setting {path!r} is no table but {type(value).__name__}")
    return value


def generation():
    """The number of this app's generation: 1 at the start, one more for each change of code, settings or grants."""
    _serving()
    return _host.generation()


def _serving():
    # A call of an import while the image is made is a trap, which no `except` could catch and no message explains.
    if _building:
        raise NotServing("settings are not known while the component is built: read them when a request is served")
