"""Makes the memory image: runs inside the guest while the component is built, and never again.

It fills the archive from the bundle that ``build.py`` made and from the standard library, compiles it all, checks the
project as far as that goes without running it, and imports the libraries that the project will want. The project's own
modules are not run: their settings are not known yet. Where the project is to be mounted, its files only tell which
libraries it wants.

What a person should know is left in ``report.json`` beside the bundle, for ``build.py`` to tell.
"""

import gc
import json
import marshal
import os
import sys
import zlib

from guesthouse import archive, at_once, files, hashing, importer, network, tls

BUNDLE = "bundle.bin"
REPORT = "report.json"

#: Parts of the standard library that no web application wants, or that cannot work here.
STDLIB_LEFT_OUT = frozenset({
    "__pycache__", "curses", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tkinter",
    "turtledemo", "turtle.py", "venv", "antigravity.py", "this.py", "_android_support.py", "_apple_support.py",
    "_ios_support.py", "_aix_support.py", "_osx_support.py", "msilib", "_pydecimal.py", "_pydatetime.py",
})

# The bundle's layout: the header's length in 8 bytes, the header as JSON, then the files' contents one after another.
_LENGTH = 8

#: Larger sources of libraries are compiled by the instance that wants them. They are tables, such as those of phone numbers;
#: compiling one takes up to a hundred times its size, and memory that was ever taken stays in the image.
SOURCE_MAX_BYTES = 256 * 1024

_directory = None
_config = None


class Unbuildable(Exception):
    """The project cannot become a component; the report says why."""


def begin(directory):
    """First half, before the bridge is imported: captures everything, and redirects files and imports."""
    global _directory, _config
    _directory = directory
    gc.disable()
    _config = _read_bundle(f"{directory}/{BUNDLE}")
    _read_stdlib()
    _offer_psycopg2()
    _offer_pillow()
    _mend_billiard()
    archive.seal()
    files.install()
    hashing.install()
    network.refuse()
    tls.install()
    from guesthouse import http_socket

    http_socket.install()
    at_once.install()


def finish():
    """Second half, when the bridge stands: checks the project, imports libraries, and tidies up for the snapshot."""
    from guesthouse import hints, instance, libraries, project, settings

    # The build's own directories stay at the end of the path until componentize-py has imported what it made there.
    built = [path for path in sys.path if path not in archive.directories]
    importer.install([archive.APP, archive.SITE, archive.STDLIB, *built])
    report = project.Report()
    _compile(report)
    modules = project.check(_config, report)
    _stop_at_errors(report)
    libraries.load(_config, modules, report)
    hints.install()
    _stop_at_errors(report)
    if _config.get("mounted"):
        archive.leave_to_host(archive.APP)
        sys.path_importer_cache.clear()
    _write_report(report)
    instance.wsgi = _config["wsgi"]
    _tidy()
    settings._building = False


def _read_bundle(path):
    with open(path, "rb") as bundle:
        header = json.loads(bundle.read(int.from_bytes(bundle.read(_LENGTH), "little")))
        for name, size, mtime, stored, compressed in header["files"]:
            archive.add(name, size, mtime, bundle.read(stored), compressed)
    return header["config"]


def _read_stdlib():
    pending = [archive.STDLIB]
    while pending:
        directory = pending.pop()
        for found in os.scandir(directory):
            path = f"{directory}/{found.name}"
            if found.name in STDLIB_LEFT_OUT or found.name == "tests":
                continue
            if found.is_dir():
                pending.append(path)
            elif found.name.endswith(".py"):
                with open(path, "rb") as file:
                    data = file.read()
                archive.add(path, len(data), 0, zlib.compress(data, 6), True)


def _offer_psycopg2():
    """Puts our own psycopg2, over pg8000, in the place of the one of native code, where pg8000 is there."""
    if f"{archive.SITE}/pg8000/__init__.py" not in archive.files:
        return
    root = f"{archive.SITE}/psycopg2"
    archive.remove(root)
    source = f"{_directory}/offered/psycopg2"
    for name in os.listdir(source):
        _offer(f"{source}/{name}", f"{root}/{name}")
    for native in [name for name in _config["native"] if name.partition(".")[0] == "psycopg2"]:
        del _config["native"][native]


def _offer_pillow():
    """Puts a module in the place of Pillow's native code, without which all of Pillow refuses to be imported."""
    if _config["native"].pop("PIL._imaging", None):
        _offer(f"{_directory}/offered/PIL/_imaging.py", f"{archive.SITE}/PIL/_imaging.py")


def _mend_billiard():
    """On which Celery stands: it imports for workers, which a guest does not run, what is missing here, and tasks could not even
    be sent."""
    for name, line, mended in (("compat", b"    from fcntl import fcntl, F_GETFL, F_SETFL\n", b"    fcntl = F_GETFL = F_SETFL = None\n"),
                               ("util", b"    import ctypes\n", b"    ctypes = None\n")):
        path = f"{archive.SITE}/billiard/{name}.py"
        if path in archive.files:
            data = archive.read(path).replace(line, mended, 1)
            archive.add(path, len(data), 0, zlib.compress(data, 6), True)


def _offer(source, path):
    with open(source, "rb") as file:
        data = file.read()
    archive.add(path, len(data), 0, zlib.compress(data, 6), True)


def _compile(report):
    """Compiles every source; only the project's own must be free of errors."""
    for path in archive.files:
        if not path.endswith(".py"):
            continue
        if archive.files[path][0] > SOURCE_MAX_BYTES and not path.startswith(archive.APP + "/"):
            continue
        try:
            code = compile(archive.read(path), path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            if path.startswith(archive.APP + "/"):
                report.syntax_error(path, error)
            continue
        # The project is loaded by every instance: its code stands ready. The rest is wanted rarely, if ever.
        if path.startswith(archive.APP + "/"):
            archive.codes[path] = code
        else:
            archive.codes[path] = zlib.compress(marshal.dumps(code), 6)


def _tidy():
    from guesthouse import heap, output

    # A module in the image needs its code no more.
    for module in list(sys.modules.values()):
        archive.codes.pop(getattr(module, "__file__", None), None)
    sys.argv[:] = []
    network.allow()
    output.install()
    heap.tidy()


def _stop_at_errors(report):
    if _config.get("mounted"):
        # Its files will be others by the time that they run; what is wrong with them is said then.
        report.warnings += report.errors
        report.errors = []
    if report.errors:
        _write_report(report)
        raise Unbuildable(f"{len(report.errors)} problems, see {REPORT}")


def _write_report(report):
    path = f"{_directory}/{REPORT}"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report.to_json(), file)
