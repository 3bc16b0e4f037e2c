"""Standard input, output and error of a command, as a terminal where they are one.

Python's own were made when the component was built, and know nothing of this terminal. Passwords are asked for without
showing them: Python wants ``termios`` for that, which WASI lacks, so the host does it.
"""

import getpass as _getpass
import io
import select
import sys
import warnings

from componentize_py_types import Err
from wit_world.imports import (
    stderr, stdin, stdout, streams, terminal, terminal_stderr, terminal_stdin, terminal_stdout,
)

from guesthouse.output import Output

READ_MAX = 64 * 1024


class Input(io.RawIOBase):
    """Standard input."""

    name = "<stdin>"
    mode = "rb"

    def readable(self):
        return True

    def isatty(self):
        return _is_terminal(terminal_stdin.get_terminal_stdin)

    def readinto(self, buffer):
        try:
            with stdin.get_stdin() as stream:
                data = stream.blocking_read(min(len(buffer), READ_MAX))
        except Err as error:
            if isinstance(error.value, streams.StreamError_LastOperationFailed):
                with error.value.value as cause:
                    raise OSError(f"standard input cannot be read: {cause.to_debug_string()}") from None
            return 0
        buffer[:len(data)] = data
        return len(data)


class TerminalOutput(Output):
    """Standard output or error."""

    def __init__(self, get, number, name, get_terminal):
        super().__init__(get, number, name)
        self._get_terminal = get_terminal

    def isatty(self):
        return _is_terminal(self._get_terminal)


def install():
    outputs = (("stdout", stdout.get_stdout, 1, terminal_stdout.get_terminal_stdout),
               ("stderr", stderr.get_stderr, 2, terminal_stderr.get_terminal_stderr))
    for name, get, number, get_terminal in outputs:
        getattr(sys, name).flush()
        raw = TerminalOutput(get, number, f"<{name}>", get_terminal)
        errors = "backslashreplace" if name == "stderr" else "strict"
        _put(name, io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", errors, line_buffering=True))
    _put("stdin", io.TextIOWrapper(io.BufferedReader(Input()), "utf-8"))
    select.select = _select


def _put(name, stream):
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


def _is_terminal(get):
    found = get()
    if found is None:
        return False
    found.__exit__(None, None, None)
    return True


def getpass(prompt="Password: ", stream=None, *, echo_char=None):
    """``getpass.getpass``. Nothing is shown for what is typed, ``echo_char`` or not."""
    stream = stream or sys.stderr
    if not sys.stdin.isatty():
        warnings.warn("Can not control echo on the terminal.", _getpass.GetPassWarning, stacklevel=2)
        return _line(prompt, stream)
    hidden = terminal.set_echo(False)
    try:
        return _line(prompt, stream)
    finally:
        if hidden:
            terminal.set_echo(True)
            # The line feed that ended it was not shown either.
            print(file=stream)
            stream.flush()


def _line(prompt, stream):
    stream.write(str(prompt))
    stream.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.removesuffix("\n")


_select_of_python = select.select


def _select(reading, writing, exceptional, timeout=None):
    """``select.select``, for which standard input is always ready: Django's ``shell`` asks it whether there is any."""
    if sys.stdin in reading:
        return [sys.stdin], [], []
    return _select_of_python(reading, writing, exceptional, timeout)
