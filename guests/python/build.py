#!/usr/bin/env python3
"""Turns a Python WSGI project into a component.

    build.py --wit DIR --project DIR --wsgi module:object [--site DIR] [--include MODULE]... [--mounted] --wasi 0.2|0.3 --out FILE

Run by the Python of a virtual environment (CPython 3.10 or newer) that has componentize-py installed, in the version
named in `builder/componentize.py`. `--site` is a directory into which pip has installed the project's requirements.
Exit codes: 0 built, 1 the project cannot be built (standard error says why, where and how to mend it), 2 usage.
"""

import argparse
import pathlib
import re
import sys

sys.dont_write_bytecode = True

from builder import bundle, componentize, messages  # noqa: E402

MODULE = r"[^\W\d]\w*(\.[^\W\d]\w*)*"


def main():
    arguments = parse()
    try:
        packed = bundle.pack(arguments.project, arguments.site, {
            "wsgi": arguments.wsgi, "include": arguments.include, "mounted": arguments.mounted})
        report = componentize.run(packed, arguments.wit, arguments.wasi, arguments.out)
    except messages.Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    for line in messages.lines(report, arguments.project, arguments.site):
        print(line, file=sys.stderr)
    return 1 if report["errors"] else 0


def parse():
    parser = argparse.ArgumentParser(description="Turns a Python WSGI project into a component.")
    parser.add_argument("--wit", type=directory, required=True, help="the directory with guesthouse's WIT files")
    parser.add_argument("--project", type=directory, required=True, help="the project's directory, first on its path")
    parser.add_argument("--wsgi", type=wsgi, required=True, help="the WSGI application, module:object")
    parser.add_argument("--site", type=directory, help="the directory with the installed requirements")
    parser.add_argument("--include", type=module, action="append", default=[], help="a library module to import early")
    parser.add_argument("--mounted", action="store_true",
                        help="leave the project's files out: the host will mount them as /app (guesthouse dev)")
    parser.add_argument("--wasi", choices=("0.2", "0.3"), default="0.2", help="the version of wasi:http (default 0.2)")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the component to write")
    return parser.parse_args()


def directory(text):
    path = pathlib.Path(text).resolve()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a directory")
    return path


def module(text):
    if not re.fullmatch(MODULE, text):
        raise argparse.ArgumentTypeError(f"{text!r} is no module name")
    return text


def wsgi(text):
    if not re.fullmatch(rf"{MODULE}:{MODULE}(\(\))?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form module:object or module:function(), such as mysite.wsgi:application")
    return text


if __name__ == "__main__":
    sys.exit(main())
