"""Standard output and error, without a handle that outlives the write.

The C library keeps the handle of a stream that was once written to. In an image of memory such a handle would be a number
that means something else in every instance.
"""

import io
import os
import sys

from wit_world.imports import stderr, stdout

from guesthouse import settings

# The most that `blocking-write-and-flush` takes in one call (wasi:io/streams).
WRITE_MAX = 4096


class Output(io.RawIOBase):
    """One of the two streams, unbuffered."""

    def __init__(self, get, number, name):
        self._get = get
        self._number = number
        self.name = name
        self.mode = "wb"

    def writable(self):
        return True

    def fileno(self):
        return self._number

    def write(self, data):
        if settings._building:
            return os.write(self._number, data)
        data = bytes(data)
        try:
            with self._get() as stream:
                for start in range(0, len(data), WRITE_MAX):
                    stream.blocking_write_and_flush(data[start:start + WRITE_MAX])
        except Exception as error:
            raise OSError(f"{self.name} cannot be written to") from error
        return len(data)


def install():
    """Puts them in the place of Python's own. One call of the host for each line, not for each piece of it."""
    for name, get, number in (("stdout", stdout.get_stdout, 1), ("stderr", stderr.get_stderr, 2)):
        getattr(sys, name).flush()
        raw = Output(get, number, f"<{name}>")
        errors = "backslashreplace" if name == "stderr" else "strict"
        text = io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", errors, line_buffering=True)
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)
