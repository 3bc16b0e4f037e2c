"""Imports libraries into the image, so that an instance finds them ready.

Which ones: those that the project's sources name, in imports or in texts (settings name middleware, apps and backends
that way), and what these name in turn by the same rule where a library is known to work by names. Modules that want
settings first cannot be imported yet; they stay captured and are loaded by the instance.
"""

import importlib
import marshal
import sys
import zlib

from guesthouse import archive, project

#: For each library, modules that it loads late on its own, as far as they can be imported without settings. A name with
#: `.*` stands for all modules in a package, at any depth.
LATE = {
    "django": (
        "django.apps.*", "django.conf.global_settings", "django.conf.urls.*", "django.conf.locale",
        "django.conf.locale.en.formats", "django.contrib.auth.*", "django.contrib.contenttypes.*",
        "django.contrib.messages.*", "django.contrib.sessions.*", "django.contrib.staticfiles.*", "django.core.*",
        "django.db.*", "django.dispatch.*", "django.forms.*", "django.http.*", "django.middleware.*", "django.shortcuts",
        "django.tasks.*", "django.template.*", "django.templatetags.*", "django.urls.*", "django.utils.*",
        "django.views.*", "django.core.handlers.wsgi", "django.core.wsgi", "django.test.signals",
    ),
    "flask": ("flask.*",),
    "werkzeug": ("werkzeug.*",),
    "jinja2": ("jinja2.*",),
}

#: Modules of requirements that settings bring in by other names: those of databases and caches.
BEHIND = {
    "pg8000": ("psycopg2.extras", "django.db.backends.postgresql.base"),
    "redis": ("redis", "django.core.cache.backends.redis"),
}

#: Standard library modules that such libraries load within functions.
STDLIB = ("encodings.idna", "encodings.latin_1", "encodings.ascii", "encodings.utf_8_sig", "zoneinfo", "email.parser",
          "email.message", "html.parser", "http.cookies", "http.client", "urllib.parse", "urllib.request", "json",
          "importlib.resources", "importlib.resources._adapters", "importlib.readers",
          "importlib.metadata", "tempfile", "uuid", "secrets", "decimal",
          "fractions", "statistics", "sqlite3", "logging.config", "logging.handlers", "xml.sax.saxutils", "gettext",
          "locale", "calendar", "csv", "difflib", "mimetypes", "glob", "shutil", "textwrap", "pprint", "traceback",
          "linecache", "concurrent.futures", "asyncio", "unicodedata", "stringprep")

#: Parts that are of no use in a guest, or that try what it cannot do.
NEVER = (
    "django.contrib.gis", "django.core.management.commands", "django.db.backends.mysql", "django.db.backends.oracle",
    "django.db.backends.postgresql", "django.core.servers", "django.test.", "django.utils.autoreload",
    "django.core.cache.backends.memcached", "django.core.cache.backends.redis", "django.template.backends.jinja2",
    "django.forms.jinja2", "flask.__main__", "django.__main__", "werkzeug.debug", "werkzeug.serving", "werkzeug._reloader",
    "werkzeug.test", "flask.testing", "antigravity", "this",
)


def load(config, modules, report):
    """Imports the libraries, and reports imports of the project that can never succeed."""
    failures = {}
    for name in STDLIB:
        _try(name, failures)
    for name in sorted(_named(modules)):
        _try(name, failures)
    for library, names in LATE.items():
        if library in sys.modules:
            for name in names:
                for found in _expand(name):
                    _try(found, failures)
    for library, names in BEHIND.items():
        if (project.find(library) or "").startswith(archive.SITE):
            for name in names:
                if project.find(name) is not None:
                    _try(name, failures, never=())
    for name in config["include"]:
        if not (project.find(name) or "").startswith(archive.APP):
            _try(name, failures)
    _compile_patterns()
    _report_failures(config, modules, failures, report)
    report.imported = sorted(sys.modules)


def _named(modules):
    """Modules outside the project that its sources name, parents before children."""
    names = set()
    for module in modules.values():
        for name in [imported for imported, _, _ in module.imports] + list(module.strings):
            parts = (name or "").split(".")
            for count in range(1, len(parts) + 1):
                path = project.find(".".join(parts[:count]))
                if path is None:
                    # `package.Class`, or a namespace package: the next part decides.
                    continue
                if path.startswith(archive.APP + "/"):
                    break
                names.add(".".join(parts[:count]))
        # Modules that Python has built in have no file.
        names.update(name for name, _, _ in module.imports if name in sys.builtin_module_names)
    # An installed app of Django names a package whose parts Django itself will want.
    for name in list(names):
        for part in ("apps", "checks", "signals", "middleware", "context_processors", "templatetags.*"):
            names.update(_expand(f"{name}.{part}"))
    return names


def _expand(pattern):
    package = pattern.removesuffix(".*")
    path = project.find(package)
    if path is None:
        return
    yield package
    if not pattern.endswith(".*"):
        return
    directory = path.removesuffix("/__init__.py")
    for file in archive.files:
        if file.startswith(directory + "/") and file.endswith(".py") and not file.endswith("/__init__.py"):
            rest = file[len(directory) + 1:-3]
            if rest.isidentifier() or all(part.isidentifier() for part in rest.split("/")):
                yield f"{package}.{rest.replace('/', '.')}"


def _try(name, failures, never=NEVER):
    if name in sys.modules or name in failures or name.startswith(never):
        return
    try:
        importlib.import_module(name)
    except BaseException as error:
        failures[name] = error
        # Most want settings first. The instance will load those, so their code stands ready.
        path = project.find(name)
        code = archive.codes.get(path)
        if isinstance(code, bytes):
            archive.codes[path] = marshal.loads(zlib.decompress(code))


def _compile_patterns():
    """Django compiles its regular expressions when they are first used: that would be in every instance."""
    lazy = getattr(sys.modules.get("django.utils.functional"), "SimpleLazyObject", None)
    if lazy is None:
        return
    for module in list(sys.modules.values()):
        for value in list(vars(module).values()) if module.__name__.startswith("django.") else ():
            if type(value) is lazy and value.__dict__["_setupfunc"].__qualname__.startswith("_lazy_re_compile."):
                value._setup()


def _report_failures(config, modules, failures, report):
    reachable = _reachable(config["wsgi"].partition(":")[0], modules)
    told = set()
    for module in modules.values():
        for name, line, certain in module.imports:
            problem = _problem(name, certain, failures, config["native"])
            if problem is None or (problem, module.path) in told:
                continue
            told.add((problem, module.path))
            instead = config["instead"].get(name.partition(".")[0])
            more = {"hint": f"instead: {instead}"} if instead else {}
            if certain and module.name in reachable:
                report.error(problem, path=module.path, line=line, **more)
            elif certain is not None:
                report.warn(problem, path=module.path, line=line, **more)


def _reachable(name, modules):
    """The project's modules that loading the WSGI module surely loads."""
    seen, pending = set(), [name]
    while pending:
        name = pending.pop()
        parent = name.rpartition(".")[0]
        if name in seen or name not in modules:
            if parent and parent not in seen:
                pending.append(parent)
            continue
        seen.add(name)
        pending.extend([parent] if parent else [])
        pending.extend(imported for imported, _, certain in modules[name].imports if imported and certain is not False)
    return seen


def _problem(name, certain, failures, native):
    """Why an import can never succeed; nothing where it does, or may once settings are there."""
    if certain is None or not name:
        return None
    top = name.partition(".")[0]
    error = failures.get(name) or failures.get(top)
    if error is None:
        known = name in sys.modules or project.find(name) or top in sys.modules or top in sys.builtin_module_names
        namespace = any(f"{root}/{top}" in archive.directories for root in (archive.APP, archive.SITE))
        if known or namespace:
            return None
        if top in native or name in native:
            return f"`{top}` is native code ({native.get(name) or native[top]}), which cannot run in WebAssembly"
        return f"there is no module `{top}`: it is neither in the project nor among its requirements"
    missing = _missing(error)
    for module in missing:
        if module in native:
            return f"`{top}` needs native code ({native[module]}), which cannot run in WebAssembly"
    for module in missing:
        if top in sys.stdlib_module_names or module in sys.stdlib_module_names:
            return f"`{name}` needs `{module}`, which Python in WebAssembly lacks"
        if project.find(module) is None:
            return f"`{name}` needs the module `{module}`, which is not among the requirements"
    # A package that ships native code and cannot be imported, however it words it.
    shipped = next((file for module, file in native.items() if module.startswith(top + ".")), None)
    if shipped and isinstance(error, ImportError):
        return f"`{top}` cannot be imported without its native code ({shipped}), which cannot run in WebAssembly"
    return None


def _missing(error):
    """The modules that were not found, the first cause first. Packages like to raise errors of their own in between."""
    names = []
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            names.insert(0, error.name)
        error = error.__cause__ or error.__context__
    return names
