"""psycopg2's interface over pg8000, for PostgreSQL in WebAssembly, where psycopg2's native code cannot run.

Built into components whose requirements have pg8000; Django's own PostgreSQL backend uses it unchanged. Statements are sent as
psycopg2 sends them: parameters are quoted here and become part of the text, results come as text and become Python's types by
their OIDs. Not here: TLS, COPY, large objects, asynchronous connections, two-phase commit.
"""

import socket
import sys
import types

if "_ssl" not in sys.builtin_module_names and "scramp" not in sys.modules:
    # scramp, which does the passwords, wants to know two classes of `ssl`, of which there are no objects here.
    absent = types.ModuleType("ssl")
    absent.SSLObject = absent.SSLSocket = type("Absent", (), {})
    before = sys.modules.get("ssl")
    sys.modules["ssl"] = absent
    try:
        import scramp  # noqa: F401
    finally:
        del sys.modules["ssl"]
        if before is not None:
            sys.modules["ssl"] = before

from pg8000.core import CoreConnection
from pg8000.exceptions import DatabaseError as ServerError, InterfaceError as DriverError

from psycopg2 import errors, extensions, sql  # noqa: F401
from psycopg2._adapt import Binary  # noqa: F401
from psycopg2._cast import BINARY, DATETIME, NUMBER, ROWID, STRING  # noqa: F401
from psycopg2.errors import (  # noqa: F401
    DatabaseError, DataError, Error, IntegrityError, InterfaceError, InternalError, NotSupportedError, OperationalError,
    ProgrammingError, Warning,
)

__version__ = "2.9.11 (guesthouse)"
apilevel = "2.0"
threadsafety = 0
paramstyle = "pyformat"

#: Of libpq's parameters, those that say nothing here.
_WITHOUT_MEANING = ("client_encoding", "gssencmode", "keepalives", "keepalives_idle", "keepalives_interval",
                    "keepalives_count", "target_session_attrs", "sslrootcert", "sslcert", "sslkey", "channel_binding")


def connect(dsn=None, connection_factory=None, cursor_factory=None, **parameters):
    parameters = {**_parse(dsn or ""), **parameters}
    for name in _WITHOUT_MEANING:
        parameters.pop(name, None)
    if parameters.pop("sslmode", "prefer") in ("require", "verify-ca", "verify-full"):
        raise OperationalError("sslmode: connections to PostgreSQL have no TLS here yet; use a server on this machine or network")
    host = parameters.pop("host", None) or "127.0.0.1"
    port = int(parameters.pop("port", None) or 5432)
    database = parameters.pop("dbname", None) or parameters.pop("database", None)
    user, password = parameters.pop("user", None), parameters.pop("password", None)
    timeout = parameters.pop("connect_timeout", None)
    name = parameters.pop("application_name", None)
    startup = {key: str(value) for key, value in {"options": parameters.pop("options", None)}.items() if value}
    if parameters:
        raise ProgrammingError(f"connection parameters that are not known here: {', '.join(sorted(parameters))}")
    if host.startswith("/"):
        raise OperationalError(f"{host}: WebAssembly has no Unix sockets; set HOST to an address, such as 127.0.0.1")
    place = f'connection to server at "{host}", port {port} failed'
    try:
        found = socket.create_connection((host, port), float(timeout) if timeout else None)
        found.settimeout(None)
    except OSError as error:
        failure = OperationalError(f"{place}: {error.strerror or error}")
        for note in getattr(error, "__notes__", ()):
            failure.add_note(note)
        raise failure from error
    try:
        core = CoreConnection(user or "postgres", database=database or user, password=password or "", sock=found,
                              application_name=name, startup_params=startup, ssl_context=False)
    except ServerError as error:
        raise errors.OperationalError(f"{place}: FATAL:  {error.args[0].get('M', error)}") from None
    except (DriverError, OSError) as error:
        raise OperationalError(f"{place}: {error}") from error
    factory = connection_factory or extensions.connection
    return factory(core, host, port, database or user, cursor_factory)


def _parse(dsn):
    """`name=value` pairs, or a URL."""
    if dsn.startswith(("postgres://", "postgresql://")):
        from urllib.parse import parse_qsl, unquote, urlsplit

        url = urlsplit(dsn)
        found = {"host": url.hostname, "port": url.port, "user": url.username, "password": url.password,
                 "dbname": url.path.lstrip("/"), **dict(parse_qsl(url.query))}
        return {key: unquote(value) if isinstance(value, str) else value for key, value in found.items() if value}
    import shlex

    return dict(part.split("=", 1) for part in shlex.split(dsn))
