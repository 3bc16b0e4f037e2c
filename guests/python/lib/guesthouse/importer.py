"""Imports from the captured file system, through the import system's ordinary hooks.

A path hook serves the archive's directories as entries of ``sys.path`` and of packages' ``__path__``, so namespace
packages, ``pkgutil``, ``importlib.resources`` and ``importlib.metadata`` work as from a disk. Modules in directories that
the manifest grants are imported by Python itself. So are those of a project that is mounted instead of captured, with the
manifest's settings laid over its settings module all the same.
"""

import marshal
import sys
import zlib
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import decode_source

from guesthouse import archive, overlay


#: Functions that are given each captured module when it has just run.
watchers = []


def install(path):
    sys.path_hooks.insert(0, hook)
    sys.path[:] = path
    sys.path_importer_cache.clear()


def hook(path):
    if path not in archive.directories:
        if archive.mounted and (path == archive.APP or path.startswith(archive.APP + "/")):
            return _mounted_hook(path)
        raise ImportError("not a captured directory", path=path)
    return Finder(path)


class MountedLoader(SourceFileLoader):
    """Loads one module of a mounted project, always from its source: byte code beside it may be older by less than a file's
    time can tell."""

    def get_code(self, fullname):
        return self.source_to_code(self.get_data(self.path), self.path)

    def exec_module(self, module):
        super().exec_module(module)
        overlay.after_exec(module)


_mounted_hook = FileFinder.path_hook((MountedLoader, [".py"]))


class Finder:
    """Finds the modules directly in one captured directory."""

    def __init__(self, path):
        self.path = path

    def find_spec(self, fullname, target=None):
        base = f"{self.path}/{fullname.rpartition('.')[2]}"
        package = base + "/__init__.py"
        if package in archive.files:
            return make_spec(fullname, package, [base])
        if base + ".py" in archive.files:
            return make_spec(fullname, base + ".py", None)
        if base in archive.directories:
            spec = ModuleSpec(fullname, None)
            spec.submodule_search_locations = [base]
            return spec
        return None

    def invalidate_caches(self):
        pass

    def iter_modules(self, prefix=""):
        """What ``pkgutil.iter_modules`` yields: names and whether each is a package."""
        for name in archive.directories[self.path]:
            if f"{self.path}/{name}/__init__.py" in archive.files:
                yield prefix + name, True
            elif name.endswith(".py") and name != "__init__.py":
                yield prefix + name[:-3], False


def make_spec(fullname, path, locations):
    spec = ModuleSpec(fullname, Loader(fullname, path), origin=path, is_package=locations is not None)
    spec.submodule_search_locations = locations
    spec.has_location = True
    return spec


class Loader:
    """Loads one captured module; the interface is that of ``importlib.machinery.SourceFileLoader``."""

    def __init__(self, name, path):
        self.name = name
        self.path = path

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.get_code(self.name), module.__dict__)
        if self.path.startswith(archive.APP):
            overlay.after_exec(module)
        for watch in watchers:
            watch(module)

    def is_package(self, fullname):
        return self.path.endswith("/__init__.py")

    def get_filename(self, fullname=None):
        return self.path

    def get_code(self, fullname):
        code = archive.codes.get(self.path)
        if code is None:
            return compile(archive.read(self.path), self.path, "exec", dont_inherit=True)
        if isinstance(code, bytes):
            return marshal.loads(zlib.decompress(code))
        return code

    def get_source(self, fullname):
        return decode_source(archive.read(self.path))

    def get_data(self, path):
        try:
            return archive.read(path)
        except KeyError:
            with open(path, "rb") as file:
                return file.read()

    def get_resource_reader(self, fullname):
        from importlib.readers import FileReader

        return FileReader(self)
