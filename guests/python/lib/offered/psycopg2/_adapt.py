"""Python's values as SQL: literals that mean the same to the server whatever its settings."""

import datetime
import decimal
import json
import math
import uuid


class ISQLQuote:
    """What an adapter is: ``getquoted`` gives the value as SQL, in bytes."""

    def __init__(self, wrapped=None):
        self.adapted = self._wrapped = wrapped

    def getquoted(self):
        raise NotImplementedError

    def prepare(self, connection):
        pass

    def __conform__(self, protocol):
        return self

    def __str__(self):
        return self.getquoted().decode()


class AsIs(ISQLQuote):
    def getquoted(self):
        return str(self._wrapped).encode()


class QuotedString(ISQLQuote):
    encoding = "utf8"

    def getquoted(self):
        return _text(str(self._wrapped)).encode()


class Binary(ISQLQuote):
    def getquoted(self):
        return f"'\\x{bytes(self._wrapped).hex()}'::bytea".encode() if self._wrapped is not None else b"NULL"


class _By(ISQLQuote):
    """Adapts by a function that gives text."""

    def __init__(self, wrapped, function):
        super().__init__(wrapped)
        self._function = function

    def getquoted(self):
        return self._function(self._wrapped).encode()


class Json(ISQLQuote):
    def __init__(self, adapted, dumps=None):
        super().__init__(adapted)
        self._dumps = dumps

    def dumps(self, value):
        return (self._dumps or json.dumps)(value)

    def getquoted(self):
        return _text(self.dumps(self.adapted)).encode()


def _text(value):
    if "\0" in value:
        raise ValueError("A string literal cannot contain NUL (0x00) characters.")
    # A backslash means the same under either setting of `standard_conforming_strings` only in E''.
    if "\\" in value:
        return " E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    return "'" + value.replace("'", "''") + "'"


def _number(value):
    # After a minus, a minus would begin a comment.
    text = repr(value) if isinstance(value, float) else str(value)
    return " " + text if text.startswith("-") else text


def _float(value):
    value = float(value)
    return _number(value) if math.isfinite(value) else f"'{value}'::float"


def _decimal(value):
    return _number(value) if value.is_finite() else "'NaN'::numeric"


def _interval(value):
    return f"'{value.days} days {value.seconds}.{value.microseconds:06} seconds'::interval"


def _list(values):
    if not values:
        return "'{}'"
    return "ARRAY[" + ", ".join(quote(value) for value in values) + "]"


def _tuple(values):
    return "(" + ", ".join(quote(value) for value in values) + ")"


#: type -> what makes an object with ``getquoted`` of a value
adapters = {}


def register_adapter(kind, adapter):
    adapters[kind] = adapter


for _kind, _function in {
    type(None): lambda value: "NULL",
    bool: lambda value: "true" if value else "false",
    int: lambda value: _number(int(value)),
    float: _float,
    decimal.Decimal: _decimal,
    datetime.datetime: lambda value: f"'{value.isoformat()}'::timestamp{'tz' if value.tzinfo else ''}",
    datetime.date: lambda value: f"'{value.isoformat()}'::date",
    datetime.time: lambda value: f"'{value.isoformat()}'::time{'tz' if value.tzinfo else ''}",
    datetime.timedelta: _interval,
    uuid.UUID: lambda value: f"'{value}'::uuid",
    list: _list,
    tuple: _tuple,
}.items():
    register_adapter(_kind, lambda value, function=_function: _By(value, function))
register_adapter(str, QuotedString)
for _kind in (bytes, bytearray, memoryview):
    register_adapter(_kind, Binary)


def adapt(value, protocol=ISQLQuote, alternate=None):
    for kind in type(value).__mro__:
        if kind in adapters:
            return adapters[kind](value)
    if hasattr(value, "getquoted"):
        return value
    conform = getattr(value, "__conform__", None)
    adapted = conform(protocol) if conform is not None else None
    if adapted is None:
        from psycopg2.errors import ProgrammingError

        raise ProgrammingError(f"can't adapt type '{type(value).__name__}'")
    return adapted


def quote(value):
    return adapt(value).getquoted().decode()


class _Quoting(dict):
    """Quotes the values that a statement names."""

    def __init__(self, values):
        self._values = values

    def __getitem__(self, name):
        return quote(self._values[name])


def merge(statement, parameters):
    """The statement with its parameters in it; ``%`` has no meaning where there are none at all."""
    if parameters is None:
        return statement
    try:
        if hasattr(parameters, "keys"):
            return statement % _Quoting(parameters)
        return statement % tuple(quote(value) for value in parameters)
    except TypeError as error:
        if "format string" in str(error) or "not all arguments" in str(error):
            # As psycopg2 has it.
            raise IndexError("tuple index out of range") from error
        raise
