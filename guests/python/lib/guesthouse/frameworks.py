"""Loads what a framework would load with its first requests, for an image of an app that was initialised.

Nothing of a project's own is called that a request would call: no view, no middleware, no handler of a signal. What fails
here is left for the request that wants it, which fails as it would without an image.
"""

import contextlib
import re
import sys

from guesthouse import archive, rehearsal, secrets

#: `re` keeps no more than 512.
PATTERNS_MAX = 400


def warm(app):
    if "django.conf" in sys.modules and sys.modules["django.conf"].settings.configured:
        _warm_django()
    flask = sys.modules.get("flask")
    if flask is not None and isinstance(app, flask.Flask):
        _warm_flask(app)


def rehearse():
    """Runs the framework's own part of some requests. No request depends on it: it may fail."""
    if "django.apps" in sys.modules and sys.modules["django.apps"].apps.ready:
        with contextlib.suppress(Exception), secrets.practice():
            rehearsal.rehearse()


def _warm_django():
    from django.apps import apps

    if not apps.ready:
        return
    # Modules of the project that it loads by itself when it is first asked; a mistake in one is a mistake of the app.
    _warm_urls()
    for warm_part in (_warm_reversing, _warm_language, _warm_static_files):
        with contextlib.suppress(Exception):
            warm_part()
    _warm_templates()
    with contextlib.suppress(Exception):
        _warm_forms()


def _warm_urls():
    from django.conf import settings
    from django.urls import get_resolver

    if not getattr(settings, "ROOT_URLCONF", None):
        return
    resolver = get_resolver()
    # Imports the URLconf and all that it includes, with the views, and compiles their patterns.
    resolver.reverse_dict
    for status in (400, 403, 404, 500):
        resolver.resolve_error_handler(status)


def _warm_reversing():
    """Django compiles one more pattern for each URL that it first writes (``{% url %}``), to check what it wrote."""
    from django.urls import get_resolver
    from django.urls.resolvers import get_ns_resolver

    pending = [(get_resolver(), "", {})]
    compiled = 0
    while pending:
        resolver, prefix, converters = pending.pop()
        for extra, inner in resolver.namespace_dict.values():
            pending.append((inner, prefix + extra, {**converters, **inner.pattern.converters}))
        if prefix:
            resolver = get_ns_resolver(prefix, resolver, tuple(converters.items()))
        for name, (_, pattern, _, _) in resolver.reverse_dict.items():
            if isinstance(name, str) and compiled < PATTERNS_MAX:
                re.compile(f"^/{pattern}")
                compiled += 1


def _warm_static_files():
    from django.apps import apps

    if apps.is_installed("django.contrib.staticfiles"):
        from django.contrib.staticfiles.storage import staticfiles_storage

        # Reads the manifest of the storages that have one.
        staticfiles_storage.base_url


def _warm_language():
    from django.conf import settings
    from django.utils import formats, timezone, translation

    timezone.get_default_timezone()
    if not settings.USE_I18N:
        return
    with translation.override(settings.LANGUAGE_CODE, deactivate=True):
        # Reads the catalogues of messages.
        translation.gettext("")
        formats.get_format("DATE_FORMAT")
    # What LocaleMiddleware compares a request's languages with.
    translation.trans_real.get_languages()
    translation.get_supported_language_variant(settings.LANGUAGE_CODE)


def _warm_templates():
    from django.template import engines

    with contextlib.suppress(Exception):
        for backend in engines.all():
            _load_templates(backend, backend.template_dirs)
            # Imported when a template is first rendered.
            getattr(getattr(backend, "engine", None), "template_context_processors", None)


def _warm_forms():
    if "django.forms" not in sys.modules:
        return
    from django.forms.renderers import get_default_renderer

    backend = getattr(get_default_renderer(), "engine", None)
    if backend is not None:
        _load_templates(backend, backend.template_dirs)


def _load_templates(backend, folders):
    """Compiles the captured templates below ``folders``; Django's cached loader keeps them."""
    for folder in folders:
        for name in _names_below(str(folder)):
            # One that is broken may be one that is never asked for.
            with contextlib.suppress(Exception):
                backend.get_template(name)


def _names_below(folder):
    prefix = folder.rstrip("/") + "/"
    return [path[len(prefix):] for path in archive.files if path.startswith(prefix)]


def _warm_flask(app):
    with contextlib.suppress(Exception):
        app.url_map.update()
        for name in app.jinja_env.list_templates():
            with contextlib.suppress(Exception):
                app.jinja_env.get_template(name)
