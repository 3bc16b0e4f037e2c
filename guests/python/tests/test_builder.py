"""The host's side of the build: what goes into a bundle, and messages."""

import json
import pathlib
import tempfile
import unittest

from builder import bundle, messages


class Files(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)

    def write(self, name, data=b"x"):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def names(self, **options):
        return [name for name, _ in bundle.walk(self.root, **options)]


class Bundle(Files):
    def test_project_leaves_out_what_is_no_part_of_it(self):
        for name in ("app.py", "a/__init__.py", "tests/test_a.py", "a/t/x.html", "a/locale/de/LC_MESSAGES/django.mo",
                     "a/locale/de/LC_MESSAGES/django.po", ".env", ".git/config", "a/__pycache__/x.pyc", "db.sqlite3",
                     "node_modules/x.js", "env/pyvenv.cfg", "env/lib/y.py", "a/native.so", "out.wasm"):
            self.write(name)
        self.assertEqual(sorted(self.names(in_site=False)), [
            "a/__init__.py", "a/locale/de/LC_MESSAGES/django.mo", "a/t/x.html", "app.py", "tests/test_a.py"])

    def test_site_leaves_out_more_and_remembers_native_code(self):
        for name in ("p/__init__.py", "p/tests/test_p.py", "p/tests.py", "p/x.pyi", "p/_fast.cpython-314-x86_64-linux-gnu.so",
                     "p-1.dist-info/METADATA", "p-1.dist-info/RECORD", "bin/tool", "django/contrib/gis/__init__.py"):
            self.write(name)
        native = {}
        self.assertEqual(sorted(self.names(in_site=True, native=native)),
                         ["p-1.dist-info/METADATA", "p/__init__.py", "p/tests.py"])
        self.assertEqual(native, {"p._fast": "p/_fast.cpython-314-x86_64-linux-gnu.so"})

    def test_layout(self):
        self.write("app.py", b"x = 1\n")
        self.write("long.txt", b"a" * 1000)
        packed = bundle.pack(self.root, None, {"wsgi": "app:x", "include": []})
        file = self.root / "bundle.bin"
        packed.write(file)
        data = file.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8:8 + length])
        entries = {entry[0]: entry for entry in header["files"]}
        self.assertEqual(header["config"]["wsgi"], "app:x")
        self.assertEqual((entries["/app/app.py"][1], entries["/app/app.py"][4]), (6, False))
        self.assertEqual((entries["/app/long.txt"][1], entries["/app/long.txt"][4]), (1000, True))
        self.assertEqual(sum(entry[3] for entry in header["files"]), len(data) - 8 - length)


class Messages(Files):
    def test_place_and_caret(self):
        self.write("a.py", b"def f(x:\n  pass\n")
        report = {"warnings": [], "errors": [
            {"message": "'(' was never closed", "path": "/app/a.py", "line": 1, "column": 6, "hint": "close it"}]}
        self.assertEqual(list(messages.lines(report, self.root, None)), [
            "error: '(' was never closed", f"  --> {self.root}/a.py:1:6", "  |", "1 | def f(x:", "  |      ^",
            "  hint: close it"])

    def test_problem(self):
        self.assertEqual(str(messages.Problem("it broke", "mend it")), "error: it broke\n  hint: mend it")
