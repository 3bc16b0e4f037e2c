"""Errors by the SQLSTATE that the server gives (appendix A of PostgreSQL's manual), as psycopg2 groups them."""


class Warning(Exception):
    pass


class Error(Exception):
    pgcode = None
    pgerror = None
    cursor = None
    #: What the server said, by its one-letter fields.
    fields = {}

    @property
    def diag(self):
        return Diagnostics(self.fields)


class InterfaceError(Error):
    pass


class DatabaseError(Error):
    pass


class DataError(DatabaseError):
    pass


class OperationalError(DatabaseError):
    pass


class IntegrityError(DatabaseError):
    pass


class InternalError(DatabaseError):
    pass


class ProgrammingError(DatabaseError):
    pass


class NotSupportedError(DatabaseError):
    pass


class TransactionRollbackError(OperationalError):
    pass


class QueryCanceledError(OperationalError):
    pass


class Diagnostics:
    """The parts of an error, by libpq's names."""

    NAMES = {"severity": "S", "sqlstate": "C", "message_primary": "M", "message_detail": "D", "message_hint": "H",
             "statement_position": "P", "context": "W", "schema_name": "s", "table_name": "t", "column_name": "c",
             "datatype_name": "d", "constraint_name": "n"}

    def __init__(self, fields):
        self._fields = fields

    def __getattr__(self, name):
        if name not in self.NAMES:
            raise AttributeError(name)
        return self._fields.get(self.NAMES[name])


_CLASSES = {
    "0A": NotSupportedError, "20": ProgrammingError, "21": ProgrammingError, "22": DataError, "23": IntegrityError,
    "24": InternalError, "25": InternalError, "26": OperationalError, "27": OperationalError, "28": OperationalError,
    "2B": InternalError, "2D": InternalError, "2F": InternalError, "34": OperationalError, "38": InternalError,
    "39": InternalError, "3B": InternalError, "3D": ProgrammingError, "3F": ProgrammingError,
    "40": TransactionRollbackError, "42": ProgrammingError, "44": ProgrammingError, "53": OperationalError,
    "54": OperationalError, "55": OperationalError, "57": OperationalError, "58": OperationalError, "F0": InternalError,
    "HV": OperationalError, "P0": InternalError, "XX": InternalError,
}

_NAMES = {
    "22001": "StringDataRightTruncation", "22003": "NumericValueOutOfRange", "22007": "InvalidDatetimeFormat",
    "22012": "DivisionByZero", "22P02": "InvalidTextRepresentation", "23502": "NotNullViolation",
    "23503": "ForeignKeyViolation", "23505": "UniqueViolation", "23514": "CheckViolation", "23P01": "ExclusionViolation",
    "25P02": "InFailedSqlTransaction", "25006": "ReadOnlySqlTransaction", "28000": "InvalidAuthorizationSpecification",
    "28P01": "InvalidPassword", "3D000": "InvalidCatalogName", "3F000": "InvalidSchemaName",
    "40001": "SerializationFailure", "40P01": "DeadlockDetected", "42501": "InsufficientPrivilege",
    "42601": "SyntaxError", "42701": "DuplicateColumn", "42703": "UndefinedColumn", "42704": "UndefinedObject",
    "42710": "DuplicateObject", "42883": "UndefinedFunction", "42P01": "UndefinedTable", "42P04": "DuplicateDatabase",
    "42P06": "DuplicateSchema", "42P07": "DuplicateTable", "53300": "TooManyConnections", "55006": "ObjectInUse",
    "55P03": "LockNotAvailable", "57P01": "AdminShutdown", "57P03": "CannotConnectNow",
}

_known = {"57014": QueryCanceledError}
QueryCanceled = QueryCanceledError


def lookup(code):
    """The class of a SQLSTATE. Raises ``KeyError`` for one that has no class of its own."""
    return _known[code]


def of(fields):
    """The error for what the server said."""
    code = fields.get("C", "")
    kind = _known.get(code) or _CLASSES.get(code[:2], DatabaseError)
    text = fields.get("M", "unknown error")
    for letter, label in (("D", "DETAIL"), ("H", "HINT"), ("W", "CONTEXT")):
        if letter in fields:
            text += f"\n{label}:  {fields[letter]}"
    error = kind(text + "\n")
    error.pgcode, error.fields = code, fields
    error.pgerror = f"{fields.get('S', 'ERROR')}:  {text}\n"
    return error


for _code, _name in _NAMES.items():
    _known[_code] = globals()[_name] = type(_name, (_CLASSES[_code[:2]],), {"__module__": __name__})
