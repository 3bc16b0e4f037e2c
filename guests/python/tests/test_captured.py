"""The captured file system and imports from it. In a process of its own, since both change Python for good."""

import pathlib
import subprocess
import sys
import textwrap
import unittest

LIB = pathlib.Path(__file__).resolve().parent.parent / "lib"

SETUP = """
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, {lib!r})
from tests import host
host.install()
import io, os, zlib
from guesthouse import archive, files, importer
TREE = {{
    "/app/app.py": b"VALUE = 1",
    "/app/pkg/__init__.py": b"",
    "/app/pkg/mod.py": b"from . import other",
    "/app/pkg/other.py": b"NAME = __name__",
    "/app/pkg/data/t.txt": "h\\xe9llo\\nworld\\n".encode(),
    "/app/space/inner.py": b"X = 2",
    "/site/lib/__init__.py": b"",
    "/site/lib-1.2.dist-info/METADATA": b"Metadata-Version: 2.1\\nName: lib\\nVersion: 1.2\\n",
}}
for path, data in TREE.items():
    archive.add(path, len(data), 1000000000, zlib.compress(data), True)
archive.seal()
files.install()
importer.install(["/app", "/site", *sys.path])
"""


class Captured(unittest.TestCase):
    def check(self, code):
        script = SETUP.format(lib=str(LIB)) + textwrap.dedent(code)
        done = subprocess.run([sys.executable, "-c", script], cwd=LIB.parent, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_only_captured_files_exist_while_an_image_is_taken(self):
        self.check("""
            import tempfile
            with tempfile.TemporaryDirectory() as outside:
                with files.captured_only():
                    assert open("/app/app.py").read() == "VALUE = 1"
                    for call in (os.stat, os.listdir, os.mkdir, open):
                        try:
                            call(outside)
                        except FileNotFoundError:
                            continue
                        raise AssertionError(call)
                assert os.listdir(outside) == []
        """)

    def test_a_project_that_is_left_to_the_host_is_imported_from_its_folder(self):
        self.check("""
            import pathlib, tempfile
            from guesthouse import overlay
            with tempfile.TemporaryDirectory() as mounted:
                archive.APP = mounted
                archive.add(mounted + "/conf.py", 9, 0, b"NAME = 'captured'", False)
                archive.leave_to_host(mounted)
                assert not any(path.startswith(mounted) for path in [*archive.files, *archive.directories])
                pathlib.Path(mounted, "conf.py").write_text("NAME = 'mounted'\\nOTHER = 1\\n")
                importer.install([mounted, "/site"])
                os.environ["DJANGO_SETTINGS_MODULE"] = "conf"
                overlay.prepare({"NAME": "manifest"})
                import conf
                assert (conf.NAME, conf.OTHER, conf.__file__) == ("manifest", 1, mounted + "/conf.py")
                import lib
                assert os.listdir(mounted) == ["conf.py"]
        """)

    def test_reading(self):
        self.check("""
            assert open("/app/pkg/data/t.txt").read() == "h\\xe9llo\\nworld\\n"
            assert open("/app/pkg/data/../data/t.txt", "rb").readlines()[1] == b"world\\n"
            assert io.open("pkg/data/t.txt", encoding="utf-8", newline="").readline() == "h\\xe9llo\\n"
            import pathlib
            here = pathlib.Path("/app/pkg")
            assert (here / "data" / "t.txt").read_bytes().endswith(b"world\\n")
            assert sorted(p.name for p in here.iterdir()) == ["__init__.py", "data", "mod.py", "other.py"]
            assert [str(p) for p in here.rglob("*.txt")] == ["/app/pkg/data/t.txt"]
            assert pathlib.Path("/app/pkg/mod.py").resolve().parent.parent == pathlib.Path("/app")
        """)

    def test_asking(self):
        self.check("""
            assert os.path.isfile("/app/app.py") and os.path.isdir("/app/pkg") and not os.path.exists("/app/nothing")
            assert os.path.getsize("/app/app.py") == 9 and os.path.getmtime("/app/app.py") == 1000000000
            assert os.path.samefile("/app/app.py", "/app/pkg/../app.py")
            assert not os.path.islink("/app/app.py") and os.access("/app/app.py", os.R_OK)
            assert not os.access("/app/app.py", os.W_OK) and os.getcwd() == "/app"
            assert sorted(os.listdir("/app")) == ["app.py", "pkg", "space"]
            assert [d for d, _, _ in os.walk("/app")] == ["/app", "/app/pkg", "/app/pkg/data", "/app/space"]
            with os.scandir("/app/pkg") as found:
                assert {e.name: e.is_dir() for e in found}["data"]
            import glob
            assert glob.glob("/app/*/*.py") == ["/app/pkg/__init__.py", "/app/pkg/mod.py", "/app/pkg/other.py",
                                                "/app/space/inner.py"] or len(glob.glob("/app/*/*.py")) == 4
        """)

    def test_changing_fails_as_on_a_read_only_file_system(self):
        self.check("""
            import errno
            for attempt in (lambda: open("/app/app.py", "w"), lambda: open("/app/app.py", "r+b"),
                            lambda: os.remove("/app/app.py"), lambda: os.rename("/app/app.py", "/app/b.py")):
                try:
                    attempt()
                except OSError as error:
                    assert error.errno == errno.EROFS, error
                else:
                    raise AssertionError("changed")
            os.makedirs("/app/pkg", exist_ok=True)
            try:
                open("/app/pkg")
            except IsADirectoryError:
                pass
        """)

    def test_real_files_still_work(self):
        self.check("""
            import tempfile
            with tempfile.TemporaryDirectory() as directory:
                path = os.path.join(directory, "x")
                with open(path, "w") as file:
                    file.write("real")
                assert open(path).read() == "real" and os.listdir(directory) == ["x"]
                os.rename(path, path + "y")
                assert os.stat(path + "y").st_size == 4
                with open(os.path.join(directory, "mod_real.py"), "w") as file:
                    file.write("HERE = True")
                sys.path.append(directory)
                import mod_real
                assert mod_real.HERE
        """)

    def test_imports(self):
        self.check("""
            import app, pkg.mod, space.inner, lib
            assert app.VALUE == 1 and pkg.mod.other.NAME == "pkg.other" and space.inner.X == 2
            assert pkg.__path__ == ["/app/pkg"] and pkg.mod.__file__ == "/app/pkg/mod.py"
            assert pkg.mod.__spec__.loader.get_source("pkg.mod") == "from . import other"
            import pkgutil
            assert [m.name for m in pkgutil.walk_packages(pkg.__path__, "pkg.")] == ["pkg.mod", "pkg.other"]
            try:
                import pkg.nothing
            except ModuleNotFoundError as error:
                assert error.name == "pkg.nothing"
            else:
                raise AssertionError
        """)

    def test_resources_and_metadata(self):
        self.check("""
            import importlib.resources, importlib.metadata
            assert (importlib.resources.files("pkg") / "data" / "t.txt").read_text("utf-8").startswith("h")
            assert importlib.metadata.version("lib") == "1.2"
        """)

    def test_tracebacks_show_source(self):
        self.check("""
            archive.files["/app/bad.py"] = (12, 0, b"1 / 0  # here", False)
            archive.directories["/app"].append("bad.py")
            import traceback
            try:
                import bad
            except ZeroDivisionError:
                assert "# here" in traceback.format_exc(), traceback.format_exc()
        """)
