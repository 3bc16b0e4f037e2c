"""Initialisation ahead of an image, and what an instance renews that starts from it."""

import contextlib
import io
import os
import random
import sys
import tempfile
import types
import unittest
import unittest.mock
import uuid

from componentize_py_types import Err
from guesthouse import bytecode, files, heap, instance, output, renewal, secrets, settings, snapshot

from tests import host


def app(environ, start_response):
    """A WSGI application that is never called."""


class Restored(unittest.TestCase):
    """Leaves the process as it was."""

    def setUp(self):
        host.settings.values = {}
        for target, name, value in ((instance, "_before_next", instance._start), (instance, "_application", None),
                                    (instance, "_failure", None), (instance, "wsgi", "project:app"),
                                    (settings, "_building", False), (secrets, "_taking", False),
                                    (secrets, "too_early", None), (sys, "path", list(sys.path)),
                                    (snapshot.heap, "tidy", lambda: None),
                                    (snapshot.bytecode, "run_in", lambda rehearse: None)):
            patch = unittest.mock.patch.object(target, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        patch = unittest.mock.patch.dict(os.environ)
        patch.start()
        self.addCleanup(patch.stop)
        self.addCleanup(host.environment.values.clear)
        self.addCleanup(sys.modules.pop, "project", None)
        sys.modules["project"] = types.SimpleNamespace(app=app)

    def initialize(self):
        snapshot.Snapshot().initialize()


class Initialize(Restored):
    def test_application_is_there_for_the_first_request(self):
        self.initialize()
        with unittest.mock.patch.object(renewal, "renew") as renew:
            for _ in range(3):
                self.assertIs(instance.application(), app)
        renew.assert_called_once()

    def test_failure_is_told_with_its_place(self):
        class Project:
            @property
            def app(self):
                raise LookupError("no such thing")

        sys.modules["project"] = Project()
        with self.assertRaises(Err) as caught:
            self.initialize()
        text = caught.exception.value
        self.assertTrue(text.endswith("LookupError: no such thing"), text)
        self.assertIn("test_snapshot.py", text)
        self.assertNotIn("instance.py", text)
        self.assertFalse(files._captured_only)

    def test_long_traceback_keeps_its_end(self):
        def deep(count):
            return deep(count - 1) if count else sum(["x"])

        try:
            deep(5)
        except TypeError as error:
            with unittest.mock.patch.object(snapshot, "LINES_MAX", 3):
                text = snapshot.describe(error)
        self.assertEqual(len(text.splitlines()), 3)
        self.assertIn("TypeError", text)


class Bytecode(unittest.TestCase):
    def test_what_runs_is_copied_and_works_as_before(self):
        def outer(count):
            def inner(number):
                return [number + one for one in range(count) if one]

            return inner(3)

        def idle():
            pass

        before = outer.__code__, idle.__code__
        with unittest.mock.patch.object(bytecode.heap, "fill_holes"):
            bytecode.run_in(lambda: outer(4))
        self.assertIsNot(outer.__code__, before[0])
        self.assertIs(idle.__code__, before[1])
        self.assertEqual(outer(3), [4, 5])
        self.assertIsNone(sys.getprofile())

    def test_rehearsal_that_fails_leaves_no_profile(self):
        with self.assertRaises(ZeroDivisionError):
            bytecode.run_in(lambda: 1 / 0)
        self.assertIsNone(sys.getprofile())


class Heap(unittest.TestCase):
    def test_all_that_is_referred_to_becomes_immortal(self):
        marked = {}

        def mark(objects):
            found = [one for one in objects if id(one) not in marked]
            marked.update((id(one), one) for one in found)
            return found

        class Lazy:
            @property
            def __class__(self):
                raise RuntimeError("asked what it stands for")

        leaf, text = Lazy(), "".join(["a ", "text"])
        with unittest.mock.patch.object(heap._immortal, "mark", mark), unittest.mock.patch.object(heap, "BATCH", 2):
            heap._immortalise([[(leaf,), {"key": [text]}], Restored])
        for one in (leaf, text, Restored, Restored.setUp, Restored.setUp.__code__,
                    Restored.setUp.__code__.co_names[0]):
            self.assertIn(id(one), marked)


class Renew(Restored):
    def test_numbers_differ(self):
        random.seed(1)
        state, names = random.getstate(), tempfile._get_candidate_names()
        uuid._node = 1
        renewal.renew()
        self.assertNotEqual(random.getstate(), state)
        self.assertIsNot(tempfile._get_candidate_names(), names)
        self.assertIsNone(uuid._node)

    def test_environment_is_that_of_the_instance(self):
        host.environment.values = [("KEPT", "1"), ("CHANGED", "1"), ("GONE", "1"), ("OVERRIDDEN", "1")]
        os.environ.update(host.environment.values)
        renewal.remember()
        os.environ["OVERRIDDEN"] = "project"
        os.environ["OWN"] = "project"
        host.environment.values = [("KEPT", "1"), ("CHANGED", "2"), ("NEW", "2"), ("OVERRIDDEN", "1")]
        renewal.renew()
        found = {name: os.environ.get(name) for name in ("KEPT", "CHANGED", "GONE", "NEW", "OVERRIDDEN", "OWN")}
        self.assertEqual(found, {"KEPT": "1", "CHANGED": "2", "GONE": None, "NEW": "2", "OVERRIDDEN": "project",
                                 "OWN": "project"})


class Output(unittest.TestCase):
    def test_no_handle_is_kept(self):
        host.Console.written = b""
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), \
                unittest.mock.patch.object(settings, "_building", False), \
                unittest.mock.patch.object(sys, "__stdout__"), unittest.mock.patch.object(sys, "__stderr__"):
            output.install()
            print("a line")
            print("x" * 10_000, file=sys.stderr)
            self.assertEqual(sys.stdout.fileno(), 1)
        self.assertEqual(host.Console.written, b"a line\n" + b"x" * 10_000 + b"\n")
        self.assertEqual(host.Console.alive, 0)
