"""Connections and cursors, and what extends them: adapters, types, states."""

import collections
import datetime
import itertools

from pg8000.exceptions import DatabaseError as ServerError, InterfaceError as DriverError

from psycopg2 import _adapt, _cast, errors
from psycopg2._adapt import AsIs, Binary, ISQLQuote, QuotedString, adapt, adapters, register_adapter  # noqa: F401
from psycopg2._cast import UNICODE, new_array_type, new_type, register_type  # noqa: F401
from psycopg2.errors import QueryCanceledError, TransactionRollbackError  # noqa: F401

ISOLATION_LEVEL_AUTOCOMMIT = 0
ISOLATION_LEVEL_READ_COMMITTED = 1
ISOLATION_LEVEL_REPEATABLE_READ = 2
ISOLATION_LEVEL_SERIALIZABLE = 3
ISOLATION_LEVEL_READ_UNCOMMITTED = 4
ISOLATION_LEVEL_DEFAULT = None
_LEVELS = {1: "READ COMMITTED", 2: "REPEATABLE READ", 3: "SERIALIZABLE", 4: "READ UNCOMMITTED"}

STATUS_READY, STATUS_BEGIN = 1, 2
TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_ACTIVE, TRANSACTION_STATUS_INTRANS = 0, 1, 2
TRANSACTION_STATUS_INERROR, TRANSACTION_STATUS_UNKNOWN = 3, 4
_STATUS = {b"I": TRANSACTION_STATUS_IDLE, b"T": TRANSACTION_STATUS_INTRANS, b"E": TRANSACTION_STATUS_INERROR}

PYINTERVAL = INTERVAL = _cast.named["INTERVAL"]
DATE, TIME, DECIMAL, JSON, JSONB = (_cast.named[name] for name in ("DATE", "TIME", "DECIMAL", "JSON", "JSONB"))
string_types = _cast.types

Column = collections.namedtuple("Column", "name type_code display_size internal_size precision scale null_ok")


def quote_ident(name, scope=None):
    return '"' + str(name).replace('"', '""') + '"'


class Info:
    """What is known of a connection."""

    def __init__(self, connection, host, port, dbname):
        self._connection = connection
        self.host, self.port, self.dbname = host, port, dbname
        self.user = connection._core.user.decode()

    def parameter_status(self, name):
        found = self._connection._core.parameter_statuses.get(name)
        return found.decode() if isinstance(found, bytes) else found

    @property
    def server_version(self):
        """As a number: 150004 for 15.4."""
        numbers = self.parameter_status("server_version").split(" ")[0].split(".")
        return int(numbers[0]) * 10000 + int("".join(itertools.takewhile(str.isdigit, numbers[-1])) or 0)

    @property
    def transaction_status(self):
        return self._connection.get_transaction_status()

    @property
    def backend_pid(self):
        return self._connection.get_backend_pid()


class connection:
    """One connection to the server. Without ``autocommit``, the first statement begins a transaction."""

    Error, DatabaseError, InterfaceError = errors.Error, errors.DatabaseError, errors.InterfaceError
    OperationalError, ProgrammingError = errors.OperationalError, errors.ProgrammingError
    encoding = "UTF8"

    def __init__(self, core, host, port, dbname, cursor_factory=None):
        self._core = core
        # Results come as text, and are made Python's here.
        core.pg_types.clear()
        self.info = Info(self, host, port, dbname)
        self.cursor_factory = cursor_factory
        self.closed = 0
        self.types = {}
        self._autocommit = False
        self._level = None

    def cursor(self, name=None, cursor_factory=None, scrollable=None, withhold=False):
        self._check()
        return (cursor_factory or self.cursor_factory or cursor)(self, name, scrollable, withhold)

    @property
    def autocommit(self):
        return self._autocommit

    @autocommit.setter
    def autocommit(self, on):
        self._check()
        if self.get_transaction_status() != TRANSACTION_STATUS_IDLE:
            raise errors.ProgrammingError("set_session cannot be used inside a transaction")
        self._autocommit = bool(on)

    @property
    def isolation_level(self):
        return self._level

    @isolation_level.setter
    def isolation_level(self, level):
        self._level = None if level is None else int(level)

    def set_isolation_level(self, level):
        if level == ISOLATION_LEVEL_AUTOCOMMIT:
            self.autocommit = True
        else:
            self.isolation_level = level

    def set_session(self, isolation_level=None, readonly=None, deferrable=None, autocommit=None):
        if isolation_level is not None:
            self.isolation_level = isolation_level
        if autocommit is not None:
            self.autocommit = autocommit

    def commit(self):
        self._check()
        if self.get_transaction_status() != TRANSACTION_STATUS_IDLE:
            self._send("COMMIT")

    def rollback(self):
        self._check()
        if self.get_transaction_status() != TRANSACTION_STATUS_IDLE:
            self._send("ROLLBACK")

    def close(self):
        if not self.closed:
            self.closed = 1
            try:
                self._core.close()
            except (OSError, DriverError, AttributeError, ValueError):
                # The server has gone before.
                pass

    def get_transaction_status(self):
        if self.closed:
            return TRANSACTION_STATUS_UNKNOWN
        # Before the first statement, nothing was said of it.
        return _STATUS.get(bytes(self._core._transaction_status or b"I"), TRANSACTION_STATUS_UNKNOWN)

    @property
    def status(self):
        return STATUS_READY if self.get_transaction_status() == TRANSACTION_STATUS_IDLE else STATUS_BEGIN

    def get_parameter_status(self, name):
        return self.info.parameter_status(name)

    def get_backend_pid(self):
        return int.from_bytes(self._core._backend_key_data[:4], "big")

    @property
    def server_version(self):
        return self.info.server_version

    @property
    def notices(self):
        return [f"{notice.get(b'S', b'').decode()}:  {notice.get(b'M', b'').decode()}\n" for notice in self._core.notices]

    def __enter__(self):
        return self

    def __exit__(self, kind, error, frames):
        if kind is None:
            self.commit()
        else:
            self.rollback()

    def _check(self):
        if self.closed:
            raise errors.InterfaceError("connection already closed")

    def _run(self, statement):
        if not self._autocommit and self.get_transaction_status() == TRANSACTION_STATUS_IDLE:
            self._send("BEGIN" + (f" ISOLATION LEVEL {_LEVELS[self._level]}" if self._level in _LEVELS else ""))
        return self._send(statement)

    def _send(self, statement):
        self._check()
        try:
            return self._core.execute_simple(statement)
        except ServerError as error:
            failure = errors.of(error.args[0])
            if failure.pgcode.startswith("57P"):
                # The server ends the connection.
                self.close()
            raise failure from None
        except (DriverError, OSError, EOFError, AttributeError, ValueError) as error:
            if isinstance(error, DriverError) and "failed transaction" in str(error):
                raise errors.of({"C": "25P02", "M": "current transaction is aborted, commands ignored until end of "
                                                   "transaction block"}) from None
            # What was sent and what was read do not belong together any more.
            self.close()
            raise errors.OperationalError(f"server closed the connection unexpectedly\n\t({error})\n") from error


class cursor:
    """Statements and their results. With a name, the server keeps the result and gives it in pieces."""

    def __init__(self, connection, name=None, scrollable=None, withhold=False):
        self.connection, self.name, self.scrollable, self.withhold = connection, name, scrollable, withhold
        self.arraysize, self.itersize = 1, 2000
        self.tzinfo_factory = datetime.timezone
        self.types = {}
        self.closed = False
        self.query = self.statusmessage = self.lastrowid = None
        self._forget()

    def _forget(self):
        self.description, self.rowcount, self.rownumber = None, -1, 0
        self._rows = iter(())
        self._casts = []
        self._declared = False

    def mogrify(self, statement, parameters=None):
        return _adapt.merge(self._text(statement), parameters).encode()

    def execute(self, statement, parameters=None):
        self._check()
        text = _adapt.merge(self._text(statement), parameters)
        self._forget()
        self.query = text.encode()
        if self.name:
            scroll = {None: "", True: "SCROLL ", False: "NO SCROLL "}[self.scrollable]
            hold = "WITH HOLD " if self.withhold else ""
            self.connection._run(f"DECLARE {quote_ident(self.name)} {scroll}CURSOR {hold}FOR {text}")
            self._declared = True
        else:
            self._take(self.connection._run(text))

    def executemany(self, statement, many):
        total = 0
        for parameters in many:
            self.execute(statement, parameters)
            total += max(self.rowcount, 0)
        self.rowcount = total

    def callproc(self, name, parameters=()):
        marks = ", ".join(["%s"] * len(parameters))
        self.execute(f"SELECT * FROM {name}({marks})", parameters)
        return parameters

    def _text(self, statement):
        if isinstance(statement, bytes):
            return statement.decode()
        return statement if isinstance(statement, str) else statement.as_string(self)

    def _take(self, result):
        self.rowcount = result.row_count
        if result.columns is None:
            return
        self.description = [
            Column(column["name"], column["type_oid"], None, column["type_size"], *_precision(column), None)
            for column in result.columns]
        known = (self.types, self.connection.types, _cast.types)
        self._casts = [
            next((types[column["type_oid"]] for types in known if column["type_oid"] in types), UNICODE)
            for column in result.columns]
        self._rows = iter(result.rows or ())

    def _make(self, row):
        self.rownumber += 1
        return tuple(cast(text, self) for cast, text in zip(self._casts, row))

    def _fetch(self, count):
        self._check()
        if self._declared:
            self._take(self.connection._send(f"FETCH FORWARD {count} FROM {quote_ident(self.name)}"))
            return [self._make(row) for row in self._rows]
        if self.description is None:
            raise errors.ProgrammingError("no results to fetch")
        rows = self._rows if count == "ALL" else itertools.islice(self._rows, count)
        return [self._make(row) for row in rows]

    def fetchone(self):
        return next(iter(self._fetch(1)), None)

    def fetchmany(self, size=None):
        return self._fetch(self.arraysize if size is None else size)

    def fetchall(self):
        return self._fetch("ALL")

    def __iter__(self):
        while rows := self._fetch(self.itersize):
            yield from rows

    def close(self):
        if self._declared and not self.closed and not self.connection.closed:
            if self.connection.get_transaction_status() != TRANSACTION_STATUS_INERROR:
                self.connection._send(f"CLOSE {quote_ident(self.name)}")
        self.closed = True

    def setinputsizes(self, sizes):
        pass

    def setoutputsize(self, size, column=None):
        pass

    def copy_expert(self, *arguments, **options):
        raise errors.NotSupportedError("COPY is not supported here")

    copy_from = copy_to = copy_expert

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def _check(self):
        self.connection._check()
        if self.closed:
            raise errors.InterfaceError("cursor already closed")


def _precision(column):
    """Of numeric columns, which keep both in the type's modifier (`numeric.c`)."""
    modifier = column["type_modifier"] - 4
    if column["type_oid"] != 1700 or modifier < 0:
        return None, None
    return modifier >> 16, modifier & 0xFFFF
