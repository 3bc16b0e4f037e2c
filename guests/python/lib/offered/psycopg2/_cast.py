"""Values of the server, which come as text, as Python's, by their OIDs (``pg_type.dat`` of PostgreSQL)."""

import datetime
import decimal
import json
import re
import uuid

_INTERVAL = re.compile(r"([+-]?\d+) (year|mon|day)s?|([+-]?)(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_DAYS = {"year": 365, "mon": 30, "day": 1}


class Type:
    """Turns text into values of some OIDs. Called as psycopg2's: with the text and the cursor."""

    def __init__(self, values, name, cast):
        self.values, self.name, self._cast = tuple(values), name, cast

    def __call__(self, text, cursor=None):
        return None if text is None else self._cast(text, cursor)

    def __eq__(self, other):
        return other in self.values if isinstance(other, int) else self is other

    def __hash__(self):
        return id(self)


def new_type(values, name, cast):
    return Type(values, name, lambda text, cursor: cast(text, cursor))


def new_array_type(values, name, base):
    return Type(values, name, lambda text, cursor: array(text, lambda item: base(item, cursor)))


#: OID -> Type
types = {}


def register_type(kind, scope=None):
    known = types if scope is None else scope.types
    for oid in kind.values:
        known[oid] = kind


def array(text, cast):
    """`{1,NULL,"a \\" b",{...}}`, after bounds that may stand before it (`[0:1]={...}`)."""
    position = text.index("{")

    def items():
        nonlocal position
        found = []
        position += 1
        while text[position] != "}":
            if text[position] == "{":
                found.append(items())
            elif text[position] == '"':
                end = position + 1
                while text[end] != '"':
                    end += 2 if text[end] == "\\" else 1
                found.append(cast(re.sub(r"\\(.)", r"\1", text[position + 1:end], flags=re.DOTALL)))
                position = end + 1
            else:
                end = position
                while text[end] not in ",}":
                    end += 1
                item = text[position:end]
                found.append(None if item == "NULL" else cast(item))
                position = end
            if text[position] == ",":
                position += 1
        position += 1
        return found

    return items()


def _interval(text, cursor):
    days, seconds, microseconds = 0, 0, 0
    for count, unit, sign, hours, minutes, rest in _INTERVAL.findall(text):
        if unit:
            days += int(count) * _DAYS[unit]
        else:
            whole, _, part = rest.partition(".")
            factor = -1 if sign == "-" else 1
            seconds += factor * (int(hours) * 3600 + int(minutes) * 60 + int(whole))
            microseconds += factor * int(part.ljust(6, "0") or 0)
    return datetime.timedelta(days, seconds, microseconds)


def _moment(text, cursor):
    found = datetime.datetime.fromisoformat(_years(text))
    factory = getattr(cursor, "tzinfo_factory", None)
    if found.tzinfo is None:
        return found
    return found.astimezone(factory(found.utcoffset())) if factory else found.replace(tzinfo=None)


def _years(text):
    if text.endswith(" BC") or text.endswith("infinity"):
        raise ValueError(f"Python has no such time: {text}")
    return text


def _plain(cast):
    return lambda text, cursor: cast(text)


#: name of the Type -> OIDs, OIDs of the arrays, what casts
_KNOWN = {
    "BOOLEAN": ((16,), (1000,), lambda text, cursor: text == "t"),
    "BINARY": ((17,), (1001,), lambda text, cursor: memoryview(bytes.fromhex(text[2:]))),
    "INTEGER": ((20, 21, 23, 26), (1005, 1007, 1016, 1028, 1006), _plain(int)),
    "FLOAT": ((700, 701), (1021, 1022), _plain(float)),
    "DECIMAL": ((1700,), (1231,), _plain(decimal.Decimal)),
    "UNICODE": ((18, 19, 25, 1042, 1043, 869, 650, 829, 142), (1002, 1003, 1009, 1014, 1015, 1041, 651), _plain(str)),
    "DATE": ((1082,), (1182,), lambda text, cursor: datetime.date.fromisoformat(_years(text))),
    "TIME": ((1083, 1266), (1183, 1270), _plain(datetime.time.fromisoformat)),
    "DATETIME": ((1114,), (1115,), _moment),
    "DATETIMETZ": ((1184,), (1185,), _moment),
    "INTERVAL": ((1186,), (1187,), _interval),
    "UUID": ((2950,), (2951,), _plain(uuid.UUID)),
    "JSON": ((114,), (199,), _plain(json.loads)),
    "JSONB": ((3802,), (3807,), _plain(json.loads)),
}
named = {}
for _name, (_oids, _arrays, _cast) in _KNOWN.items():
    named[_name] = Type(_oids, _name, _cast)
    register_type(named[_name])
    named[_name + "ARRAY"] = new_array_type(_arrays, _name + "ARRAY", named[_name])
    register_type(named[_name + "ARRAY"])

STRING = UNICODE = named["UNICODE"]
BINARY = named["BINARY"]
NUMBER = Type((20, 21, 23, 700, 701, 1700), "NUMBER", _plain(decimal.Decimal))
DATETIME = named["DATETIME"]
ROWID = Type((26,), "ROWID", _plain(int))
