"""What a person can do about a database, a server or a module that an app does not reach: a line below the error.

The lines are notes of the exceptions (PEP 678): they stand in tracebacks, in the log and on Django's page for developers.
"""

import errno
import os
import socket
import sqlite3
import sys

MIGRATE = "hint: make the tables first: guesthouse exec APP -- migrate"
_SQLITE_HEADER = 20
_WAL = 2


def install():
    """Called once, while the component is made."""
    sqlite3.connect = sqlite3.dbapi2.connect = _connect_sqlite
    socket.socket.connect = _connect_socket
    utils = sys.modules.get("django.db.utils")
    if utils is not None:
        _hint_in_django(utils.DatabaseErrorWrapper)


def _hint_in_django(wrapper):
    leave = wrapper.__exit__

    def __exit__(self, kind, error, frames):
        try:
            return leave(self, kind, error, frames)
        except Exception as raised:
            if error is not None:
                for hint in (*getattr(error, "__notes__", ()), _about(self.wrapper, error)):
                    _note(raised, hint)
            raise

    wrapper.__exit__ = __exit__


def _about(database, error):
    """What to do about an error of a database, if that is known."""
    text = str(error)
    if text.startswith("no such table") or getattr(error, "pgcode", None) == "42P01":
        return MIGRATE
    name = database.settings_dict.get("NAME") if database.vendor == "sqlite" else None
    return about_sqlite(str(name), text) if name else None


def about_sqlite(path, text):
    """What to do about an error of SQLite with the database at ``path``."""
    folder = os.path.dirname(path) or "/"
    grant = f'dirs = {{ "{folder}" = {{ path = "data", write = true }} }}'
    if text == "unable to open database file":
        if not os.path.isdir(folder):
            return f"hint: the app has no folder {folder}: grant it in the manifest: {grant}"
        return f"hint: {path} cannot be made or opened: the folder has to be granted for writing: {grant}"
    if "readonly database" in text:
        return f"hint: {path} cannot be written to: the folder has to be granted for writing: {grant}"
    if text == "file is not a database" and _is_wal(path):
        return (f"hint: {path} is kept with a write-ahead log, which needs memory that processes share: "
                "sqlite3 FILE 'PRAGMA journal_mode = DELETE' gives it a journal")
    return None


def _is_wal(path):
    try:
        with open(path, "rb") as file:
            return file.read(_SQLITE_HEADER)[18:] == bytes((_WAL, _WAL))
    except OSError:
        return False


_connect_plainly = sqlite3.dbapi2.connect


def _connect_sqlite(database, *arguments, **options):
    """``sqlite3.connect``. What SQLite would write to temporary files stays in memory: there is no folder for them."""
    try:
        connection = _connect_plainly(database, *arguments, **options)
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection
    except sqlite3.OperationalError as error:
        if not options.get("uri") and isinstance(database, (str, os.PathLike)):
            _note(error, about_sqlite(os.fspath(database), str(error)))
        raise


_connect_socket_plainly = socket.socket.connect


def _connect_socket(self, address):
    try:
        return _connect_socket_plainly(self, address)
    except OSError as error:
        if isinstance(address, tuple):
            _note(error, _about_address(*address[:2], error))
        raise


def _about_address(host, port, error):
    place = f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f'hint: the manifest has to grant the app this connection: tcp = ["{place}"]'
    if error.errno == errno.ECONNREFUSED:
        return f"hint: nothing listens at {place}: is the server started?"
    return None


def note_about_module(error):
    """What to do about a module that a project wants and its component has not."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return
    top = error.name.partition(".")[0]
    if top in sys.stdlib_module_names:
        _note(error, f"hint: Python in WebAssembly has no `{error.name}`: the project or its packages have to do without it")
    elif top in sys.modules:
        _note(error, f"hint: `{top}` is there, and has no such module: look for a misspelt name or an older version")
    else:
        _note(error, f"hint: no requirement brings `{top}`, nor does the project: add its package to the requirements, or mend "
                     "the name, and build again")


def _note(error, text):
    if text and text not in getattr(error, "__notes__", ()):
        error.add_note(text)
