"""Changes globals on purpose, and shows them."""

import builtins
import json
import locale
import os
import sys
import uuid
from urllib.parse import parse_qs

import django
from django.conf import settings
from django.utils import translation

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings_one")
django.setup()

INSTANCE = uuid.uuid4().hex
marks = []


class Thing:
    colour = "plain"


def application(environ, start_response):
    mark = parse_qs(environ["QUERY_STRING"]).get("mark", ["mark"])[0]
    if environ["PATH_INFO"] == "/mutate":
        mutate(mark)
    elif environ["PATH_INFO"] == "/slow":
        mutate(mark)
        chunks = int(parse_qs(environ["QUERY_STRING"]).get("chunks", ["5"])[0])
        start_response("200 OK", [("Content-Type", "application/json")])
        return (state() for _ in range(chunks))
    body = state()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def mutate(mark):
    marks.append(mark)
    os.environ["MARK"] = mark
    # WASI's C library knows the C locales alone, so the conventions that Python keeps for itself are overridden.
    locale._override_localeconv = {"decimal_point": mark}
    builtins.marked = mark
    builtins.len = lambda value, length=builtins.len: length(value) + 1000 if value is marks else length(value)
    Thing.colour = mark
    sys.path.append(f"/{mark}")
    settings.SITE_TITLE = mark
    settings.ALLOWED_HOSTS.append(mark)
    translation.activate("de")


def state():
    return json.dumps({
        "instance": INSTANCE,
        "settings_module": settings.SETTINGS_MODULE,
        "marks": marks,
        "environ": os.environ.get("MARK"),
        "locale": locale.localeconv()["decimal_point"],
        "builtin": getattr(builtins, "marked", None),
        "patched_len": len(marks),
        "class": Thing.colour,
        "path": sys.path,
        "site_title": settings.SITE_TITLE,
        "allowed_hosts": settings.ALLOWED_HOSTS,
        "language": translation.get_language(),
    }).encode() + b"\n"
