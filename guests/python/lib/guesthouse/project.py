"""What can be said of a project without running it: does it parse, is the WSGI object there, which modules does it name.

Runs while the image is made. It reads syntax trees only; nothing of the project is executed.
"""

import ast
import difflib
import re

from guesthouse import archive

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\Z")


class Report:
    """Errors and warnings, each a dict with ``message`` and, where there is one, a place and a hint."""

    def __init__(self):
        self.errors = []
        self.warnings = []
        self.imported = []

    def syntax_error(self, path, error):
        self.error(f"{getattr(error, 'msg', None) or error}", path=path, line=getattr(error, "lineno", None),
                   column=getattr(error, "offset", None))

    def error(self, message, **more):
        self.errors.append({"message": message, **more})

    def warn(self, message, **more):
        self.warnings.append({"message": message, **more})

    def to_json(self):
        return {"errors": self.errors, "warnings": self.warnings, "imported": self.imported}


class Module:
    """What one source of the project mentions."""

    def __init__(self, name, path, tree):
        self.name = name
        self.path = path
        self.is_package = path.endswith("/__init__.py")
        #: (dotted name, line, certain): whether it runs when the module is loaded; None where it may well fail
        self.imports = []
        #: Dotted names in texts, as settings have them.
        self.strings = set()
        #: Names bound at the top level, or None where that cannot be told; and those of them that are only imported.
        self.bound = set()
        self.borrowed = set()
        self._visit(tree.body, True, True)

    def _visit(self, nodes, certain, top):
        for node in nodes:
            self._statement(node, certain, top)

    def _statement(self, node, certain, top):
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.imports.append((alias.name, node.lineno, certain))
        elif isinstance(node, ast.ImportFrom):
            base = self._absolute(node)
            self.imports.append((base, node.lineno, certain))
            self.imports.extend((f"{base}.{alias.name}", node.lineno, None) for alias in node.names if alias.name != "*")
        if top:
            self._bind(node)
        plain = isinstance(node, (ast.Module, ast.With, ast.ClassDef))
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Constant) and isinstance(child.value, str):
                if "." in child.value and _DOTTED.match(child.value):
                    self.strings.add(child.value)
            if isinstance(node, ast.Try):
                # Whoever tries expects that it may fail.
                inner = None
            elif certain is None:
                inner = None
            else:
                inner = certain and (plain or not isinstance(node, ast.stmt))
            inner_top = top and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda))
            self._statement(child, inner, inner_top)

    def _absolute(self, node):
        if not node.level:
            return node.module
        parts = self.name.split(".")
        parts = parts[:len(parts) - node.level + self.is_package]
        return ".".join(parts + ([node.module] if node.module else []))

    def _bind(self, node):
        if self.bound is None:
            return
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            self.bound = None
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = {alias.asname or alias.name.partition(".")[0] for alias in node.names}
            self.bound |= names
            self.borrowed |= names
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            # A module's __getattr__ may make any name up (PEP 562).
            self.bound = None if node.name == "__getattr__" else self.bound | {node.name}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)


def find(name):
    """The path of a captured module, or nothing. The project comes before its requirements, those before the rest."""
    relative = name.replace(".", "/")
    for root in (archive.APP, archive.SITE, archive.STDLIB):
        for path in (f"{root}/{relative}/__init__.py", f"{root}/{relative}.py"):
            if path in archive.files:
                return path
    return None


def check(config, report):
    """Reads the project's modules; reports a WSGI object or an included module that is not there."""
    modules = {}
    for path in archive.codes:
        if path.startswith(archive.APP + "/"):
            name = _module_name(path)
            modules[name] = Module(name, path, ast.parse(archive.read(path)))
    _check_wsgi(config["wsgi"], modules, report)
    for name in config["include"]:
        if find(name) is None and not _is_namespace(name):
            report.error(f"the module `{name}`, which is to be included, is neither in the project nor among its requirements",
                         hint=_nearest(name, modules))
    return modules


def _module_name(path):
    name = path[len(archive.APP) + 1:].removesuffix(".py").removesuffix("/__init__")
    return name.replace("/", ".")


def _is_namespace(name):
    relative = name.replace(".", "/")
    return any(f"{root}/{relative}" in archive.directories for root in (archive.APP, archive.SITE))


def _check_wsgi(wsgi, modules, report):
    name, _, path = wsgi.partition(":")
    if find(name) is None:
        report.error(f"there is no module `{name}` in the project (looking for the WSGI application `{wsgi}`)",
                     hint=_nearest(name, modules))
        return
    module = modules.get(name)
    first = path.removesuffix("()").partition(".")[0]
    if module is None or module.bound is None or first in module.bound:
        return
    own = [known for known in sorted(module.bound - module.borrowed) if not known.startswith("_")]
    hint = "at its top level it has " + ", ".join(f"`{known}`" for known in own) if own else None
    report.error(f"the module `{name}` has no `{first}` (looking for the WSGI application `{wsgi}`)", path=module.path,
                 hint=hint)


def _nearest(name, modules):
    near = difflib.get_close_matches(name, modules, 3, 0.5) or [
        known for known in sorted(modules) if known.endswith(("wsgi", "app", "settings"))][:5]
    return "did you mean " + " or ".join(f"`{known}`" for known in near) + "?" if near else None
