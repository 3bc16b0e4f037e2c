"""Types beyond the common ones: JSON, ranges, network addresses, hstore."""

import json
import re

from psycopg2 import _adapt, _cast
from psycopg2._adapt import ISQLQuote, Json  # noqa: F401
from psycopg2._cast import new_array_type, register_type, types


class Inet(ISQLQuote):
    def __init__(self, addr):
        super().__init__(addr)
        self.addr = addr

    def getquoted(self):
        return _adapt.quote(self.addr).encode() + b"::inet"

    def __str__(self):
        return str(self.addr)


class Range:
    """Values from ``lower`` to ``upper``; ``bounds`` says which of them belong to it."""

    name = "range"

    def __init__(self, lower=None, upper=None, bounds="[)", empty=False):
        if bounds not in ("[)", "(]", "()", "[]"):
            raise ValueError(f"bound flags not valid: {bounds!r}")
        self._lower, self._upper = (None, None) if empty else (lower, upper)
        self._bounds = None if empty else bounds

    lower = property(lambda self: self._lower)
    upper = property(lambda self: self._upper)
    isempty = property(lambda self: self._bounds is None)
    lower_inf = property(lambda self: not self.isempty and self._lower is None)
    upper_inf = property(lambda self: not self.isempty and self._upper is None)
    lower_inc = property(lambda self: not self.isempty and self._lower is not None and self._bounds[0] == "[")
    upper_inc = property(lambda self: not self.isempty and self._upper is not None and self._bounds[1] == "]")

    def __contains__(self, value):
        if self.isempty:
            return False
        above = self._lower is None or (value >= self._lower if self.lower_inc else value > self._lower)
        return above and (self._upper is None or (value <= self._upper if self.upper_inc else value < self._upper))

    def __bool__(self):
        return not self.isempty

    def __eq__(self, other):
        return isinstance(other, Range) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())

    def __repr__(self):
        if self.isempty:
            return f"{type(self).__name__}(empty=True)"
        return f"{type(self).__name__}({self._lower!r}, {self._upper!r}, {self._bounds!r})"

    def _key(self):
        return self._lower, self._upper, self._bounds

    def __conform__(self, protocol):
        if self.isempty:
            return _adapt.AsIs(f"'empty'::{self.name}")
        parts = ", ".join(_adapt.quote(part) for part in self._key())
        return _adapt.AsIs(f"{self.name}({parts})")


class NumericRange(Range):
    name = "numrange"

    def __conform__(self, protocol):
        # Without a type of its own: a column of whole numbers takes it, too.
        if self.isempty:
            return _adapt.AsIs("'empty'")
        ends = ["" if end is None else str(end) for end in (self._lower, self._upper)]
        return _adapt.AsIs(f"'{self._bounds[0]}{ends[0]},{ends[1]}{self._bounds[1]}'")


class DateRange(Range):
    name = "daterange"


class DateTimeRange(Range):
    name = "tsrange"


class DateTimeTZRange(Range):
    name = "tstzrange"


_RANGE = re.compile(r'([\[(])(?:"((?:[^"]|"")*)"|([^",]*)),(?:"((?:[^"]|"")*)"|([^")\]]*))([\])])')


def _range_type(oid, array_oid, kind, base):
    def cast(text, cursor):
        if text == "empty":
            return kind(empty=True)
        low, quoted_lower, lower, quoted_upper, upper, high = _RANGE.fullmatch(text).groups()
        ends = [quoted_lower or lower or None, quoted_upper or upper or None]
        return kind(*(base(end, cursor) for end in ends), low + high)

    found = _cast.Type((oid,), kind.__name__, cast)
    register_type(found)
    register_type(new_array_type((array_oid,), kind.__name__ + "ARRAY", found))


for _oid, _array, _kind, _base in (
    (3904, 3905, NumericRange, 23), (3926, 3927, NumericRange, 20), (3906, 3907, NumericRange, 1700),
    (3912, 3913, DateRange, 1082), (3908, 3909, DateTimeRange, 1114), (3910, 3911, DateTimeTZRange, 1184),
):
    _range_type(_oid, _array, _kind, types[_base])


def register_uuid(oids=None, conn_or_curs=None):
    """UUIDs are known from the beginning."""


def register_default_jsonb(conn_or_curs=None, globally=False, loads=None):
    return _register_json(conn_or_curs, globally, loads, 3802, 3807)


def register_default_json(conn_or_curs=None, globally=False, loads=None):
    return _register_json(conn_or_curs, globally, loads, 114, 199)


def _register_json(scope, globally, loads, oid, array_oid):
    loads = loads or json.loads
    one = _cast.Type((oid,), "JSON", lambda text, cursor: loads(text))
    many = new_array_type((array_oid,), "JSONARRAY", one)
    for kind in (one, many):
        register_type(kind, None if globally else scope)
    return one, many


_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"=>(?:NULL|"((?:[^"\\]|\\.)*)")', re.DOTALL)


def _hstore(text, cursor):
    plain = lambda part: None if part is None else re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL)  # noqa: E731
    return {plain(match[1]): plain(match[2]) for match in _PAIR.finditer(text)}


class HstoreAdapter(ISQLQuote):
    def getquoted(self):
        if not self._wrapped:
            return b"''::hstore"
        keys, values = list(self._wrapped), list(self._wrapped.values())
        return f"hstore({_adapt.quote(keys)}, {_adapt.quote(values)}::text[])".encode()


def register_hstore(conn_or_curs, globally=False, oid=None, array_oid=None):
    if oid:
        found = _cast.Type(oid if isinstance(oid, tuple) else (oid,), "HSTORE", _hstore)
        register_type(found, None if globally else conn_or_curs)
        if array_oid:
            arrays = array_oid if isinstance(array_oid, tuple) else (array_oid,)
            register_type(new_array_type(arrays, "HSTOREARRAY", found), None if globally else conn_or_curs)
    _adapt.register_adapter(dict, HstoreAdapter)


def execute_values(cursor, statement, rows, template=None, page_size=100, fetch=False):
    """One statement for many rows: the `%s` of ``statement`` stands for all of them."""
    rows, found = list(rows), []
    for start in range(0, len(rows), page_size):
        page = rows[start:start + page_size]
        parts = [_adapt.merge(template, row) if template else _adapt.quote(tuple(row)) for row in page]
        cursor.execute(statement.replace("%s", ",".join(parts), 1))
        found += cursor.fetchall() if fetch else []
    return found if fetch else None
