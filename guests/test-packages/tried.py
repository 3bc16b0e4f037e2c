"""Tries what the module `checks` of a project has, within the guest: prints a line of JSON for each package."""

import importlib.metadata
import inspect
import json
import traceback

import checks


def main():
    packages = {}
    for function in vars(checks).values():
        if inspect.isfunction(function) and function.__doc__ and function.__module__ == "checks":
            package, _, what = function.__doc__.rstrip(".").partition(": ")
            if what and " " not in package:
                packages.setdefault(package, []).append((what, function))
    for package, tries in packages.items():
        seen = [{"what": what, "error": attempt(function)} for what, function in tries]
        # On a line of its own, whatever a library has printed.
        print("\n" + json.dumps({"package": package, "version": version(package), "seen": seen}), flush=True)


def attempt(function):
    try:
        function()
    except BaseException as error:
        traceback.print_exc(limit=-8)
        # Some tell at length of what they could not import.
        while isinstance(error, ImportError) and error.__cause__:
            error = error.__cause__
        return f"{type(error).__name__}: {first_line(error)}"
    return None


def first_line(error):
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


main()
