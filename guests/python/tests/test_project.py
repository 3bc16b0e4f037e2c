"""What is found out about a project without running it."""

import unittest

from guesthouse import archive, libraries, project


class Project(unittest.TestCase):
    def setUp(self):
        self.report = project.Report()
        for table in (archive.files, archive.codes, archive.directories):
            table.clear()
            self.addCleanup(table.clear)

    def check(self, target, include=(), **sources):
        for name, text in sources.items():
            path = f"/app/{name.replace('__', '/')}.py"
            archive.add(path, len(text), 0, text.encode(), False)
            archive.codes[path] = compile(text, path, "exec")
        return project.check({"wsgi": target, "include": list(include)}, self.report)

    def errors(self):
        return [error["message"] for error in self.report.errors]

    def test_object_found_however_it_is_bound(self):
        for text in ("app = 1", "def app(): pass", "class app: pass", "import app", "from x import y as app",
                     "from x import *", "if True:\n  app = 1", "try:\n  import app\nexcept ImportError:\n  app = None",
                     "with f() as app: pass", "for app in x: pass", "a, (b, app) = x", "(app := 1)",
                     "def __getattr__(name): pass", "app: int = 3"):
            self.check("main:app", main=text)
            self.assertEqual(self.errors(), [], text)

    def test_object_missing(self):
        self.check("main:app", main="import os\napplication = 1\ndef f():\n  app = 1\n")
        self.assertEqual(self.errors(), ["the module `main` has no `app` (looking for the WSGI application `main:app`)"])
        self.assertEqual(self.report.errors[0]["hint"], "at its top level it has `application`, `f`")

    def test_module_missing(self):
        self.check("mysite.wsgi:application", other="", wsgi="application = 1")
        self.assertIn("no module `mysite.wsgi`", self.errors()[0])
        self.assertEqual(self.report.errors[0]["hint"], "did you mean `wsgi`?")

    def test_include_missing(self):
        self.check("main:app", include=["other.thing"], main="app = 1")
        self.assertIn("`other.thing`, which is to be included", self.errors()[0])

    def test_imports_and_strings(self):
        module = self.check("p__m:a".replace("__", "."), p____init__="", p__m="""
import a.b, c as d
from . import sibling
from .near import thing
from far import other
if x:
    import conditional
try:
    import optional
except ImportError:
    pass
def f():
    import late
MIDDLEWARE = ["some.middleware.Class", "not dotted", "http://x.y"]
a = 1
""")["p.m"]
        found = {name: certain for name, _, certain in module.imports}
        self.assertEqual({name: found[name] for name in ("a.b", "c", "p", "p.near", "far", "conditional", "late", "optional")}, {
            "a.b": True, "c": True, "p": True, "p.near": True, "far": True, "conditional": False, "late": False,
            "optional": None})
        self.assertEqual(module.strings, {"some.middleware.Class"})


class Problems(unittest.TestCase):
    NATIVE = {"np._core._fast": "np/_core/_fast.cpython-314-x86_64-linux-gnu.so"}

    def problem(self, error):
        return libraries._problem("np", True, {"np": error}, self.NATIVE)

    def chained(self, outer, inner):
        outer.__cause__ = inner
        return outer

    def test_native_code_behind_a_packages_own_error(self):
        inner = ModuleNotFoundError("No module named 'np._core._fast'", name="np._core._fast")
        self.assertEqual(self.problem(self.chained(ImportError("np is broken"), inner)),
                         "`np` needs native code (np/_core/_fast.cpython-314-x86_64-linux-gnu.so), which cannot run in WebAssembly")

    def test_native_code_that_nothing_names(self):
        self.assertIn("cannot be imported without its native code", self.problem(ImportError("np is broken")))

    def test_missing_requirement(self):
        error = ModuleNotFoundError("No module named 'dep'", name="dep")
        self.assertEqual(self.problem(error), "`np` needs the module `dep`, which is not among the requirements")

    def test_missing_part_of_the_standard_library(self):
        error = ModuleNotFoundError("No module named '_ssl'", name="_ssl")
        self.assertEqual(self.problem(error), "`np` needs `_ssl`, which Python in WebAssembly lacks")

    def test_settings_that_are_wanted_first_are_no_problem(self):
        self.assertIsNone(self.problem(RuntimeError("settings are not configured")))
