"""The captured file system: a read-only tree of files held in the memory image.

There is no file system after the build, so everything that the project may still want (late imports, templates,
translations, zone data) is kept here, compressed, under the paths it had while the image was made: the project in
``/app``, its requirements in ``/site``, the standard library in ``/python``. Nothing here is ever written to.
"""

import zlib

#: Where a project's files are; also the current directory of the guest, as far as the archive goes.
APP = "/app"
SITE = "/site"
STDLIB = "/python"

#: Whether the project's own files are not captured: the host mounts them from where they are edited.
mounted = False

#: path -> (size, mtime in seconds, zlib-compressed or plain bytes, whether compressed)
files = {}
#: path -> names within, sorted once the archive is complete
directories = {}
#: path of a Python source -> its code: a code object, or compressed marshal data
codes = {}


def add(path, size, mtime, data, compressed):
    files[path] = (size, mtime, data, compressed)
    while path != "/":
        parent, _, name = path.rpartition("/")
        parent = parent or "/"
        names = directories.get(parent)
        if names is None:
            directories[parent] = {name}
        elif name in names:
            return
        else:
            names.add(name)
        path = parent


def seal():
    """Ends the filling. The root is nobody's: granted directories appear beside what is captured."""
    directories.pop("/", None)
    for path, names in directories.items():
        directories[path] = sorted(names)


def leave_to_host(root):
    """Forgets what was captured below a directory, which the host will mount in its place."""
    global mounted
    mounted = True
    remove(root)


def remove(root):
    """Forgets a directory and all below it."""
    for known in (files, directories, codes):
        for path in [path for path in known if path == root or path.startswith(root + "/")]:
            del known[path]


def read(path):
    """A file's bytes. Raises ``KeyError`` where there is none."""
    _, _, data, compressed = files[path]
    return zlib.decompress(data) if compressed else data
