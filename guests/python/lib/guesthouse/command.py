"""Commands of the operator's (``guesthouse exec APP -- ARGS``): the exported ``wasi:cli/run``.

What runs is decided by the project: of Django the commands of ``manage.py``, of Flask those of ``flask``; of every project
``python -c CODE``, ``python -m MODULE``, ``python FILE`` and an interactive ``python``. Settings, files and imports are those
that requests find.
"""

import code
import getpass
import io
import os
import runpy
import sys
import traceback

from wit_world.imports import environment, exit as host_exit

from guesthouse import archive, console, instance, overlay

USAGE = """{name} has no commands of its own: Django and Flask projects have. What every Python app knows:
  guesthouse exec {name} -- python -c 'CODE'
  guesthouse exec {name} -- python -m MODULE
  guesthouse exec {name} -- python
"""


class Run:
    """The exported interface; componentize-py makes one object of it when the component is made."""

    def run(self):
        name, *arguments = environment.get_arguments() or ["app"]
        console.install()
        status = _status(lambda: _run(name, arguments))
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                # Who reads has seen enough, such as `head`.
                pass
        if status:
            host_exit.exit_with_code(status)


def _status(command):
    """Runs it, and makes an exit status of how it ends, as Python itself does."""
    try:
        command()
    except SystemExit as end:
        if end.code is None:
            return 0
        if isinstance(end.code, int):
            return end.code & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    except BaseException as error:
        if isinstance(error, MemoryError):
            error.add_note("hint: a command may take as much memory as an instance: raise limits.memory-mib of the app in the manifest")
        traceback.print_exception(type(error), error, _their_frames(error.__traceback__))
        return 1
    return 0


def _their_frames(frames):
    """Without those of this module and its helpers, where there are others."""
    last = None
    while frames is not None and frames.tb_frame.f_globals.get("__name__", "").startswith(("guesthouse.", "runpy")):
        last, frames = frames, frames.tb_next
    return frames or last


def _run(name, arguments):
    instance.prepare()
    if arguments[:1] == ["python"]:
        _python(arguments[1:])
    elif _is_django():
        _django(arguments)
    elif not _flask(arguments):
        sys.exit(USAGE.format(name=name).rstrip())


def _is_django():
    try:
        import django.core.management  # noqa: F401
    except ImportError:
        return False
    if overlay.VARIABLE not in os.environ:
        # As in most projects, it is the WSGI module that names the default.
        instance.application()
    return overlay.VARIABLE in os.environ


def _django(arguments):
    from django.core.management import execute_from_command_line

    sys.argv[:] = ["manage.py", *arguments]
    execute_from_command_line(sys.argv)


def _flask(arguments):
    try:
        from flask import Flask
        from flask.cli import FlaskGroup
    except ImportError:
        return False
    app = instance.application()
    if not isinstance(app, Flask):
        return False
    sys.argv[:] = ["flask", *arguments]
    FlaskGroup(create_app=lambda: app).main(args=arguments, prog_name="flask")
    return True


def _python(arguments):
    if _has_settings_module():
        # As `manage.py shell` does, so that models can be imported.
        import django

        django.setup()
    first, rest = (arguments or [None])[0], arguments[1:]
    if first is None:
        _interact()
    elif first == "-c" and rest:
        sys.argv[:] = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m" and rest:
        sys.argv[:] = ["-m", *rest[1:]]
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first.startswith("-"):
        sys.exit(f"python: {' '.join(arguments)} is not known here: -c CODE, -m MODULE, FILE, or nothing")
    else:
        sys.argv[:] = arguments
        path = first if first.startswith("/") else f"{archive.APP}/{first}"
        with io.open_code(path) if path not in archive.files else open(path, "rb") as file:
            source = file.read()
        exec(compile(source, path, "exec"), {"__name__": "__main__", "__file__": path})


def _has_settings_module():
    try:
        return _is_django()
    except Exception:
        # What is wrong with it is what the operator may want to find out.
        traceback.print_exc()
        return False


def _interact():
    names = {"__name__": "__main__", "__builtins__": __builtins__}
    if sys.stdin.isatty():
        code.interact(local=names, exitmsg="")
    else:
        exec(compile(sys.stdin.read(), "<stdin>", "exec"), names)


getpass.getpass = getpass.unix_getpass = console.getpass
