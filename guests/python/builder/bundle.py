"""Gathers the files of a project and its requirements into one file, which the guest reads while its image is made.

Nothing is judged here beyond what belongs into a component: that is for the guest's own Python, whose version and
modules differ from those of the Python that runs this.
"""

import dataclasses
import importlib.util
import json
import os
import pathlib
import stat
import zlib

from builder import requirements
from builder.messages import Problem

#: Paths in the guest; `lib/guesthouse/archive.py` has the same.
APP = "/app"
SITE = "/site"

#: Together these would only make the component large: media and data belong in a granted directory.
TOTAL_MAX_BYTES = 256 * 1024 * 1024
TOTAL_WARN_BYTES = 64 * 1024 * 1024

NATIVE = (".so", ".pyd", ".dylib", ".dll")
LEFT_OUT_SUFFIXES = (".pyc", ".pyo", ".a", ".o", ".po", ".pot", ".wasm", ".sqlite3", ".sqlite3-journal",
                     ".sqlite3-wal", ".sqlite3-shm", *NATIVE)
LEFT_OUT_DIRECTORIES = frozenset({"__pycache__", "node_modules"})
LEFT_OUT_OF_SITE_SUFFIXES = (".pyi", ".c", ".h", ".pyx", ".pxd", ".cpp", ".py-tpl")
# GeoDjango stands on the native libraries GDAL and GEOS.
LEFT_OUT_OF_SITE = frozenset({"bin", "django/contrib/gis"})
METADATA = frozenset({"METADATA", "entry_points.txt", "top_level.txt"})

# Below this, compression gains less than it costs when the file is opened.
PLAIN_MAX_BYTES = 256


@dataclasses.dataclass
class Bundle:
    """What the guest will be given, and what a person should know about it."""

    config: dict
    files: list
    warnings: list

    def write(self, path):
        """Layout: see `lib/guesthouse/image.py`."""
        header = json.dumps({
            "config": self.config,
            "files": [(name, size, mtime, len(data), compressed) for name, size, mtime, data, compressed in self.files],
        }).encode()
        with open(path, "wb") as file:
            file.write(len(header).to_bytes(8, "little"))
            file.write(header)
            for _, _, _, data, _ in self.files:
                file.write(data)


def pack(project, site, config):
    """Reads everything. Raises ``Problem`` where a file cannot be read or all is too much."""
    native = {}
    sources = [(f"{APP}/{name}", path) for name, path in walk(project, in_site=False)]
    if site is not None:
        sources += [(f"{SITE}/{name}", path) for name, path in walk(site, in_site=True, native=native)]
    sources += zone_data(sources)
    total = sum(path.stat().st_size for _, path in sources)
    warnings = list(requirements.warnings(site))
    if total > TOTAL_WARN_BYTES:
        text = f"the project and its requirements have {total >> 20} MiB of files ({largest(sources)})"
        hint = "keep media and data out of the project's folder, and grant their directory to the app instead"
        if total > TOTAL_MAX_BYTES:
            raise Problem(text + f", more than the {TOTAL_MAX_BYTES >> 20} MiB that a component can hold", hint)
        warnings.append({"message": text, "hint": hint})
    files = [entry(name, path) for name, path in sources]
    return Bundle({**config, "native": native, "instead": requirements.instead(site)}, files, warnings)


def entry(name, path):
    try:
        data = path.read_bytes()
        mtime = int(path.stat().st_mtime)
    except OSError as error:
        raise Problem(f"cannot read {path}: {error.strerror}") from None
    packed = zlib.compress(data, 9) if len(data) > PLAIN_MAX_BYTES else data
    if len(packed) < len(data):
        return name, len(data), mtime, packed, True
    return name, len(data), mtime, data, False


def walk(root, in_site, native=None):
    """Relative names and paths of the files that belong into the component, in a stable order."""
    for directory, names, files in os.walk(root, followlinks=True):
        base = pathlib.Path(directory)
        relative = "" if base == root else base.relative_to(root).as_posix() + "/"
        names[:] = sorted(name for name in names if wanted_directory(base / name, relative + name, in_site))
        for name in sorted(files):
            if native is not None and name.endswith(NATIVE):
                native[(relative + name.partition(".")[0]).replace("/", ".")] = relative + name
            if wanted_file(name, relative, in_site) and stat.S_ISREG(os.stat(base / name).st_mode):
                yield relative + name, base / name


def wanted_directory(path, relative, in_site):
    # Names with a dot are version control, caches and the like; and `.env` may hold secrets.
    if path.name in LEFT_OUT_DIRECTORIES or path.name.startswith(".") or (path / "pyvenv.cfg").exists():
        return False
    if in_site:
        # Wheels keep the shared libraries of their native code in `NAME.libs`.
        left_out = relative in LEFT_OUT_OF_SITE or (path.name == "tests" and "/" in relative)
        return not left_out and not path.name.endswith(".libs")
    return True


def wanted_file(name, relative, in_site):
    if name.startswith(".") or name.endswith(LEFT_OUT_SUFFIXES):
        return False
    if in_site and relative.partition("/")[0].endswith((".dist-info", ".egg-info")):
        return name in METADATA and relative.count("/") == 1
    return not (in_site and name.endswith(LEFT_OUT_OF_SITE_SUFFIXES))


def zone_data(sources):
    """The package `tzdata` beside this Python, where the project does not bring its own: a guest has no zone files."""
    if any(name.startswith(f"{SITE}/tzdata/") or name.startswith(f"{APP}/tzdata/") for name, _ in sources):
        return []
    found = importlib.util.find_spec("tzdata")
    if found is None or not found.submodule_search_locations:
        return []
    root = pathlib.Path(found.submodule_search_locations[0])
    return [(f"{SITE}/tzdata/{name}", path) for name, path in walk(root, in_site=True)]


def largest(sources):
    sizes = {}
    for name, path in sources:
        top = "/".join(name.split("/")[2:4])
        sizes[top] = sizes.get(top, 0) + path.stat().st_size
    ranked = sorted(sizes.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{name}: {size >> 20} MiB" for name, size in ranked)
