"""Turns reports into what a person can act on: what is wrong, where, and how to mend it."""

import pathlib

APP = "/app"
SITE = "/site"


class Problem(Exception):
    """Ends the build. Its text is the whole message."""

    def __init__(self, message, hint=None):
        super().__init__(f"error: {message}" + (f"\n  hint: {hint}" if hint else ""))


def lines(report, project, site):
    """The report's warnings and errors, with the guest's paths turned back into those of the files."""
    for level, entries in (("warning", report["warnings"]), ("error", report["errors"])):
        for entry in entries:
            yield from describe(level, entry, project, site)


def describe(level, entry, project, site):
    yield f"{level}: {entry['message']}"
    path = entry.get("path")
    if path:
        path, line, column = real(path, project, site), entry.get("line"), entry.get("column")
        yield "  --> " + ":".join(str(part) for part in (path, line, column) if part)
        yield from excerpt(path, line, column)
    if entry.get("hint"):
        yield f"  hint: {entry['hint']}"


def real(path, project, site):
    for prefix, root in ((APP, project), (SITE, site)):
        if root is not None and path.startswith(prefix + "/"):
            return root / path[len(prefix) + 1:]
    return pathlib.PurePosixPath(path)


def excerpt(path, line, column):
    if not line:
        return
    try:
        text = path.read_text(encoding="utf-8", errors="replace").splitlines()[line - 1]
    except (OSError, IndexError, AttributeError):
        return
    number = str(line)
    yield f"{' ' * len(number)} |"
    yield f"{number} | {text}"
    if column:
        # Tabs stay tabs, so that the caret stands where the eye is.
        pad = "".join("\t" if character == "\t" else " " for character in text[:column - 1])
        yield f"{' ' * len(number)} | {pad}^"
