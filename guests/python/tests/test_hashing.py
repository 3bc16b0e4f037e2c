"""``hashlib.pbkdf2_hmac`` and ``scrypt``: the arguments and errors of CPython's own, which are there to compare with."""

import hashlib
import unittest
from unittest import mock

from guesthouse import hashing, settings

from tests import host

PBKDF2 = [
    (("nope", b"a", b"b", 1), {}), ((1, b"a", b"b", 1), {}), (("sha256", "a", b"b", 1), {}), (("sha256", b"a", "b", 1), {}),
    (("sha256", b"a", b"b", 0), {}), (("sha256", b"a", b"b", -1), {}), (("sha256", b"a", b"b", 2**31), {}),
    (("sha256", b"a", b"b", 2**70), {}), (("sha256", b"a", b"b", 1.5), {}), (("sha256", b"a", b"b", 1, 0), {}),
    (("sha256", b"a", b"b", 1, 2**31), {}), (("sha256", b"a", b"b", 1, "x"), {}), (("sha256", b"a", b"b"), {}), ((), {}),
    (("sha256", b"a", b"b", 1, True), {}), (("sha256", memoryview(b"abcd")[::2], b"b", 1), {}),
    (("sha256", bytearray(b"a"), memoryview(b"b"), 7), {"dklen": 70}),
    ((), {"hash_name": "sha1", "password": b"a", "salt": b"b", "iterations": 3, "dklen": None}),
]
GOOD = {"salt": b"s", "n": 16, "r": 8, "p": 1}
SCRYPT = [
    ((b"a",), GOOD), ((b"a", b"s", 16, 8, 1), {}), (("a",), GOOD), ((b"a",), {**GOOD, "salt": "x"}),
    ((b"a",), {**GOOD, "n": 15}), ((b"a",), {**GOOD, "n": 0}), ((b"a",), {**GOOD, "n": 1}), ((b"a",), {**GOOD, "n": "x"}),
    ((b"a",), {**GOOD, "p": 1.5}), ((b"a",), {**GOOD, "maxmem": -1}), ((b"a",), {**GOOD, "maxmem": 2**31}),
    ((b"a",), {**GOOD, "dklen": 0}), ((b"a",), {**GOOD, "dklen": 2**31}), ((b"a",), {**GOOD, "dklen": "x"}),
    ((b"a",), {}), ((b"a",), {"salt": b"s"}), ((b"a",), {**GOOD, "dklen": 100, "maxmem": 2**20}),
]


def outcome(function, arguments, options):
    try:
        return function(*arguments, **options)
    except Exception as error:
        return next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")


def unknown(name, *arguments):
    if name == "nope":
        raise host.Err(host.passwords.Error_UnknownHash())
    return hashlib.pbkdf2_hmac(name, *arguments)


class Hashing(unittest.TestCase):
    def setUp(self):
        settings._building = False
        host.passwords.pbkdf2_hmac = unknown
        host.passwords.scrypt = lambda password, salt, n, r, p, maxmem, dklen: hashlib.scrypt(
            password, salt=salt, n=n, r=r, p=p, maxmem=maxmem, dklen=dklen)

    def test_as_cpython(self):
        for theirs, ours, calls in ((hashlib.pbkdf2_hmac, hashing.pbkdf2_hmac, PBKDF2),
                                    (hashlib.scrypt, hashing.scrypt, SCRYPT)):
            for arguments, options in calls:
                with self.subTest(function=ours.__name__, arguments=arguments, options=options):
                    self.assertEqual(outcome(ours, arguments, options), outcome(theirs, arguments, options))

    def test_what_the_limits_refuse(self):
        for error, kind in (("OverMemory", MemoryError), ("OverTime", ValueError), ("Invalid", ValueError)):
            refusal = host.Err(getattr(host.passwords, f"Error_{error}")("so much"))
            with mock.patch.object(host.passwords, "scrypt", side_effect=refusal):
                with self.assertRaisesRegex(kind, "so much"):
                    hashing.scrypt(b"a", **GOOD)
        over = host.Err(host.passwords.Error_OverMaxmem())
        with mock.patch.object(host.passwords, "scrypt", side_effect=over):
            with self.assertRaisesRegex(ValueError, "maxmem"):
                hashing.scrypt(b"a", **GOOD)

    def test_not_while_building(self):
        settings._building = True
        self.addCleanup(setattr, settings, "_building", False)
        with self.assertRaises(settings.NotServing):
            hashing.pbkdf2_hmac("sha256", b"a", b"b", 1)

    def test_installed_where_they_are_missing(self):
        for function in (hashlib.scrypt, hashlib.pbkdf2_hmac):
            self.addCleanup(setattr, hashlib, function.__name__, function)
        hashing.install()
        self.assertIsNot(hashlib.scrypt, hashing.scrypt)
        del hashlib.scrypt, hashlib.pbkdf2_hmac
        with mock.patch.object(hashlib, "__all__", ("md5",)):
            hashing.install()
            self.assertEqual((hashlib.scrypt, hashlib.pbkdf2_hmac), (hashing.scrypt, hashing.pbkdf2_hmac))
            self.assertEqual(hashlib.__all__, ("md5", "pbkdf2_hmac", "scrypt"))
