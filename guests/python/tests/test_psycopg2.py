"""What psycopg2 over pg8000 makes of values, both ways. What the server thinks of it is asked by `tests/tests/databases.rs`."""

import datetime
import decimal
import enum
import pathlib
import sys
import types
import unittest
import uuid

OFFERED = pathlib.Path(__file__).resolve().parent.parent / "lib" / "offered"


def load():
    """With modules of the names of pg8000's, of which nothing is called here."""
    core, exceptions = types.ModuleType("pg8000.core"), types.ModuleType("pg8000.exceptions")
    core.CoreConnection = object
    exceptions.DatabaseError = exceptions.InterfaceError = Exception
    for name, module in {"pg8000": types.ModuleType("pg8000"), "pg8000.core": core, "pg8000.exceptions": exceptions,
                         "scramp": types.ModuleType("scramp")}.items():
        sys.modules.setdefault(name, module)
    sys.path.insert(0, str(OFFERED))
    try:
        import psycopg2
        import psycopg2.extras
    finally:
        sys.path.remove(str(OFFERED))
    return psycopg2


psycopg2 = load()
quote, merge = psycopg2._adapt.quote, psycopg2._adapt.merge


class Colour(enum.IntEnum):
    RED = -1


class Quoting(unittest.TestCase):
    def test_texts_end_where_they_end(self):
        for text, quoted in {
            "": "''", "it's": "'it''s'", "a\\": " E'a\\\\'", "\\' OR 1=1 --": " E'\\\\'' OR 1=1 --'", "ä\n%": "'ä\n%'",
        }.items():
            self.assertEqual(quote(text), quoted)
        with self.assertRaises(ValueError):
            quote("a\0b")

    def test_values_keep_their_kind(self):
        for value, quoted in {
            None: "NULL", True: "true", 7: "7", -7: " -7", Colour.RED: " -1", 0.1: "0.1", -1e300: " -1e+300",
            float("inf"): "'inf'::float", decimal.Decimal("1.50"): "1.50", decimal.Decimal("NaN"): "'NaN'::numeric",
            b"\x00'": "'\\x0027'::bytea", datetime.date(2026, 2, 3): "'2026-02-03'::date",
            datetime.datetime(2026, 2, 3, 4, tzinfo=datetime.timezone.utc): "'2026-02-03T04:00:00+00:00'::timestamptz",
            datetime.timedelta(days=-1, microseconds=5): "'-1 days 0.000005 seconds'::interval",
            uuid.UUID(int=1): "'00000000-0000-0000-0000-000000000001'::uuid", (1, "a"): "(1, 'a')",
        }.items():
            self.assertEqual(quote(value), quoted)
        self.assertEqual(quote([1, None, ["a'"]]), "ARRAY[1, NULL, ARRAY['a''']]")
        self.assertEqual(quote([]), "'{}'")
        self.assertEqual(quote(psycopg2.extras.Json({"a": "'"})), "'{\"a\": \"''\"}'")
        with self.assertRaises(psycopg2.ProgrammingError):
            quote(object())

    def test_a_percent_means_something_only_beside_parameters(self):
        self.assertEqual(merge("SELECT '%'", None), "SELECT '%'")
        self.assertEqual(merge("SELECT '%%', %s", ["%s"]), "SELECT '%', '%s'")
        self.assertEqual(merge("SELECT %(a)s, %(a)s", {"a": 1, "b": object()}), "SELECT 1, 1")
        for parameters in ([], [1, 2]):
            with self.assertRaises(IndexError):
                merge("SELECT %s", parameters)


class Reading(unittest.TestCase):
    def read(self, oid, text):
        return psycopg2._cast.types[oid](text)

    def test_texts_become_values(self):
        for oid, text, value in (
            (16, "f", False), (20, "-9223372036854775808", -2**63), (1700, "1.50", decimal.Decimal("1.50")),
            (1082, "2026-02-03", datetime.date(2026, 2, 3)), (1083, "23:59:59.999999", datetime.time(23, 59, 59, 999999)),
            (1186, "1 year -2 mons +3 days -04:05:06.7", datetime.timedelta(days=365 - 60 + 3) - datetime.timedelta(
                hours=4, minutes=5, seconds=6, milliseconds=700)),
            (1007, "{1,NULL,3}", [1, None, 3]), (1009, '{"a \\"b\\" \\\\",NULL,"NULL",{x}}', ['a "b" \\', None, "NULL", ["x"]]),
            (1007, "[0:1]={5,6}", [5, 6]), (1009, "{}", []),
            (3904, "[1,5)", psycopg2.extras.NumericRange(1, 5)), (3912, "empty", psycopg2.extras.DateRange(empty=True)),
        ):
            self.assertEqual(self.read(oid, text), value)
        self.assertEqual(bytes(self.read(17, "\\x00ff")), b"\x00\xff")

    def test_moments_are_in_the_zone_that_is_wished_for(self):
        class Cursor:
            tzinfo_factory = staticmethod(lambda offset: datetime.timezone.utc)

        found = psycopg2._cast.types[1184]("2026-07-08 09:10:11.5+02", Cursor())
        self.assertEqual(found.isoformat(), "2026-07-08T07:10:11.500000+00:00")

    def test_errors_are_of_the_kind_that_their_code_says(self):
        error = psycopg2.errors.of({"C": "23505", "M": "twice", "D": "Key (a)=(1)", "n": "unique_a"})
        self.assertIsInstance(error, psycopg2.errors.UniqueViolation)
        self.assertIsInstance(error, psycopg2.IntegrityError)
        self.assertEqual((error.pgcode, error.diag.constraint_name), ("23505", "unique_a"))
        self.assertIn("DETAIL:  Key (a)=(1)", str(error))


if __name__ == "__main__":
    unittest.main()
