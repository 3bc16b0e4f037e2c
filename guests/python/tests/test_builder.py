"""The host's side of the build: what goes into a bundle, messages, and the immortal objects of an image."""

import pathlib
import struct
import tempfile
import unittest

from builder import bundle, immortal, messages


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
        header = __import__("json").loads(data[8:8 + length])
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


def section(number, content):
    return bytes([number]) + unsigned(len(content)) + content


def unsigned(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def signed(value):
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value & 0x7F]))


def module(segments, extra=b""):
    data = b"".join(b"\0\x41" + signed(address) + b"\x0b" + unsigned(len(content)) + content
                    for address, content in segments)
    return immortal.MAGIC_CORE + section(11, unsigned(len(segments) + bool(extra)) + data + extra)


class Immortal(Files):
    COUNT = 5 << 28

    def run_on(self, segments, objects, extra=b""):
        inner = immortal.MAGIC_COMPONENT + section(1, module([(0, b"small")])) + section(1, module(segments, extra))
        component = self.root / "c.wasm"
        component.write_bytes(immortal.MAGIC_COMPONENT + section(0, b"\x01n") + section(4, inner))
        before = component.read_bytes()
        done = immortal.immortalise(component, struct.pack(f"<{2 * len(objects)}I", *sum(objects, ())), self.COUNT)
        return done, before, component.read_bytes()

    def test_counts_of_live_objects_are_set(self):
        objects = struct.pack("<IIII", 3, 0x2000, 7, 0x2000)
        done, before, after = self.run_on([(0x90000, b"\0" * 8 + objects)], [(0x90008, 0x2000), (0x90010, 0x2000)] * 2)
        self.assertEqual(done, 2)
        self.assertEqual(after, before.replace(objects, struct.pack("<IIII", self.COUNT, 0x2000, self.COUNT, 0x2000)))

    def test_everything_else_is_left_alone(self):
        for head in ((0, 0x2000), (3, 0x2004), (0x1000000, 0x2000), (self.COUNT, 0x2000)):
            done, before, after = self.run_on([(0x90000, struct.pack("<II", *head))], [(0x90000, 0x2000)])
            self.assertEqual((done, after), (0, before))

    def test_objects_outside_or_at_the_edge_of_segments(self):
        content = struct.pack("<II", 3, 0x2000)
        done, before, after = self.run_on([(0x90000, content), (0xA0000, content[:6])],
                                          [(0x80000, 0x2000), (0xA0000, 0x2000), (0xB0000, 0x2000), (0x90004, 0x2000)])
        self.assertEqual((done, after), (0, before))

    def test_passive_and_relative_segments_are_skipped(self):
        passive = b"\x01" + unsigned(3) + b"abc"
        content = struct.pack("<II", 3, 0x2000)
        self.assertEqual(self.run_on([(0x90000, content)], [(0x90000, 0x2000)], passive)[0], 1)
        relative = b"\0\x23\x01\x0b" + unsigned(3) + b"abc"
        self.assertEqual(self.run_on([(0x90000, content)], [(0x90000, 0x2000)], relative)[0], 1)
