"""Makes ``open``, ``os`` and what stands on them see the captured files.

Only names that the archive holds are answered here; everything else goes to WASI as before, so directories that the
manifest grants work, also where they lie within the project. Captured files cannot be changed: attempts fail with
``EROFS``, as on a read-only file system.
"""

import builtins
import contextlib
import errno
import io
import os
import stat
import tokenize

from guesthouse import archive

_open = io.open
_functions = {}
_captured_only = False


@contextlib.contextmanager
def captured_only():
    """Within, no other files exist, as without granted directories.

    What the host grants is not there while an image is taken; and the C library, once it had asked for it, would keep the
    answer.
    """
    global _captured_only
    _captured_only = True
    try:
        yield
    finally:
        _captured_only = False


def install():
    for name in ("stat", "lstat", "listdir", "scandir", "access", "readlink", "getcwd", "open"):
        _functions[name] = getattr(os, name, None)
        setattr(os, name, globals()[f"_{name}_captured"])
    for name in ("mkdir", "rmdir", "remove", "unlink", "rename", "replace", "chmod", "utime", "truncate", "link", "symlink"):
        if hasattr(os, name):
            _functions[name] = getattr(os, name)
            setattr(os, name, _changing(name))
    for supported in (os.supports_follow_symlinks, os.supports_fd):
        for name in ("stat", "access", "listdir", "scandir"):
            if _functions[name] in supported:
                supported.add(getattr(os, name))
    builtins.open = io.open = _open_file
    # Reads the sources that tracebacks show.
    tokenize._builtin_open = _open_file


def locate(path, dir_fd=None):
    """The absolute, normalised form of a path given as text, bytes or ``PathLike``.

    Nothing for file descriptors and for what is relative to one: the archive has none.
    """
    if isinstance(path, int) or dir_fd is not None:
        return None
    path = os.fsdecode(path)
    if not path.startswith("/"):
        path = f"{archive.APP}/{path}" if path else path
    if "/." in path or "//" in path or path.endswith("/"):
        path = os.path.normpath(path)
    return path


def _known(path):
    return path in archive.files or path in archive.directories


def _outside(path, located):
    if _captured_only and not isinstance(path, int):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    # WASI's current directory is the root whatever `os.getcwd` says here.
    return path if isinstance(path, int) or not located or isinstance(path, bytes) else located


def _result(path):
    entry = archive.files.get(path)
    if entry is None:
        mode, size, mtime = stat.S_IFDIR | 0o555, 0, 0
    else:
        mode, size, mtime = stat.S_IFREG | 0o444, entry[0], entry[1]
    # The inode only needs to tell files apart (os.path.samefile).
    return os.stat_result((mode, hash(path) & 0x7FFFFFFF, 0, 1, 0, 0, size, mtime, mtime, mtime))


def _stat_captured(path, *, dir_fd=None, follow_symlinks=True):
    located = locate(path, dir_fd)
    if located is not None and _known(located):
        return _result(located)
    return _functions["stat"](_outside(path, located), dir_fd=dir_fd, follow_symlinks=follow_symlinks)


def _lstat_captured(path, *, dir_fd=None):
    located = locate(path, dir_fd)
    if located is not None and _known(located):
        return _result(located)
    return _functions["lstat"](_outside(path, located), dir_fd=dir_fd)


def _listdir_captured(path="."):
    located = locate(path)
    names = archive.directories.get(located)
    if names is None:
        if located in archive.files:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return _functions["listdir"](_outside(path, located))
    return [os.fsencode(name) for name in names] if isinstance(path, bytes) else list(names)


class _Entry:
    """An ``os.DirEntry`` of a captured directory."""

    __slots__ = ("name", "path", "_located")

    def __init__(self, name, path, located):
        self.name, self.path, self._located = name, path, located

    def __fspath__(self):
        return self.path

    def __repr__(self):
        return f"<DirEntry {self.name!r}>"

    def is_dir(self, *, follow_symlinks=True):
        return self._located in archive.directories

    def is_file(self, *, follow_symlinks=True):
        return self._located in archive.files

    def is_symlink(self):
        return False

    def is_junction(self):
        return False

    def inode(self):
        return _result(self._located).st_ino

    def stat(self, *, follow_symlinks=True):
        return _result(self._located)


class _Scan:
    """What ``os.scandir`` returns: an iterator that is a context manager."""

    def __init__(self, entries):
        self._entries = iter(entries)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def close(self):
        self._entries = iter(())


def _scandir_captured(path="."):
    located = locate(path)
    if located not in archive.directories:
        if located in archive.files:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return _functions["scandir"](_outside(path, located))
    given = os.fspath(path)
    encode = os.fsencode if isinstance(given, bytes) else str
    return _Scan(_Entry(encode(name), os.path.join(given, encode(name)), f"{located}/{name}")
                 for name in archive.directories[located])


def _access_captured(path, mode, *, dir_fd=None, effective_ids=False, follow_symlinks=True):
    located = locate(path, dir_fd)
    if located is not None and _known(located):
        return not mode & os.W_OK
    return _functions["access"](_outside(path, located), mode, dir_fd=dir_fd)


def _readlink_captured(path, *, dir_fd=None):
    located = locate(path, dir_fd)
    if located is not None and _known(located):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    return _functions["readlink"](_outside(path, located), dir_fd=dir_fd)


def _getcwd_captured():
    return archive.APP


def _open_captured(path, flags, mode=0o777, *, dir_fd=None):
    located = locate(path, dir_fd)
    if located is not None and _known(located):
        # There is no descriptor to give: those who need one get the error of a file that cannot be opened that way.
        raise OSError(errno.ENOTSUP, "captured files have no file descriptors: use open()", path)
    return _functions["open"](_outside(path, located), flags, mode, dir_fd=dir_fd)


def _changing(name):
    function = _functions[name]

    def change(path, *arguments, **options):
        if any(options.get(key) is not None for key in ("dir_fd", "src_dir_fd", "dst_dir_fd")):
            return function(path, *arguments, **options)
        located = locate(path)
        if located is not None and _known(located):
            code = errno.EEXIST if name == "mkdir" else errno.EROFS
            raise OSError(code, os.strerror(code), path)
        if arguments and not isinstance(arguments[0], int) and name in ("rename", "replace", "link", "symlink"):
            arguments = (_outside(arguments[0], locate(arguments[0])), *arguments[1:])
        return function(_outside(path, located), *arguments, **options)

    change.__name__ = name
    return change


class _CapturedFile(io.BytesIO):
    """A captured file opened for reading."""

    mode = "rb"

    def __init__(self, data, name):
        super().__init__(data)
        self.name = name

    def writable(self):
        return False

    def write(self, data):
        raise io.UnsupportedOperation("not writable")


def _open_file(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    located = locate(file) if opener is None else None
    if located is None:
        return _open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    if located not in archive.files:
        if located in archive.directories:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), file)
        return _open(_outside(file, located), mode, buffering, encoding, errors, newline, closefd, opener)
    if not isinstance(mode, str) or set(mode) - set("rbtwxa+U"):
        raise ValueError(f"invalid mode: {mode!r}")
    if set(mode) & set("wxa+"):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), file)
    captured = _CapturedFile(archive.read(located), file)
    if "b" in mode:
        if encoding is not None or errors is not None or newline is not None:
            raise ValueError("binary mode takes no encoding, errors or newline argument")
        return captured
    text = io.TextIOWrapper(captured, io.text_encoding(encoding), errors, newline)
    text.mode = mode
    return text
