"""A bare WSGI application (PEP 3333): the standard library, and the manifest's settings."""

import html
import json
import time
from urllib.parse import parse_qs

from guesthouse import settings

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
  body {{ max-width: 44rem; margin: 2rem auto; padding: 0 1.25rem; font: 16px/1.5 ui-monospace, monospace; color: #222; }}
  table {{ border-collapse: collapse; }}
  td {{ padding: .1rem 1rem .1rem 0; vertical-align: top; overflow-wrap: anywhere; }}
  td:first-child {{ color: #777; white-space: nowrap; }}
</style>
<h1>{title}</h1>
<p>Mounted at <code>{mount}</code>. See also <a href="{mount}/stream">/stream</a> and
<a href="{mount}/settings">/settings</a>; POST to /echo.</p>
<table>{rows}</table>
"""


def application(environ, start_response):
    handler = HANDLERS.get(environ["PATH_INFO"])
    if handler is None:
        return answer(start_response, "404 Not Found", "text/plain", "There is no such page here.\n")
    return handler(environ, start_response)


def answer(start_response, status, content_type, text):
    body = text.encode()
    start_response(status, [("Content-Type", f"{content_type}; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]


def home(environ, start_response):
    rows = "".join(f"<tr><td>{html.escape(key)}</td><td>{html.escape(str(value))}</td></tr>"
                   for key, value in sorted(environ.items()))
    title = html.escape(settings.get("SITE_TITLE", "A bare WSGI application"))
    return answer(start_response, "200 OK", "text/html",
                  PAGE.format(title=title, mount=html.escape(environ["SCRIPT_NAME"]), rows=rows))


def show_environ(environ, start_response):
    shown = {key: value for key, value in environ.items() if isinstance(value, (str, bool, tuple))}
    return answer(start_response, "200 OK", "application/json", json.dumps(shown, indent=2) + "\n")


def show_settings(environ, start_response):
    found = {"generation": settings.generation(), "settings": settings.as_dict()}
    path = parse_qs(environ["QUERY_STRING"]).get("path")
    if path:
        value = settings.get(path[0])
        found = {"path": path[0], "type": type(value).__name__, "value": value}
    return answer(start_response, "200 OK", "application/json", json.dumps(found, indent=2) + "\n")


def stream(environ, start_response):
    """Lines one by one, each sent before the next is made. `?lines=N`, `?bytes=N` for each, `?pause=SECONDS` between."""
    query = parse_qs(environ["QUERY_STRING"])
    lines, size, pause = (int(query.get("lines", ["10"])[0]), int(query.get("bytes", ["16"])[0]),
                          float(query.get("pause", ["0"])[0]))
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return make_lines(lines, size, pause)


def make_lines(lines, size, pause):
    for number in range(lines):
        if pause:
            time.sleep(pause)
        yield f"line {number} ".encode().ljust(size - 1, b".") + b"\n"


def echo(environ, start_response):
    """The request's body, sent back while it comes in."""
    headers = [("Content-Type", environ.get("CONTENT_TYPE") or "application/octet-stream")]
    if environ.get("CONTENT_LENGTH"):
        headers.append(("Content-Length", environ["CONTENT_LENGTH"]))
    start_response("200 OK", headers)
    body = environ["wsgi.input"]
    return iter(lambda: body.read(16 * 1024), b"")


HANDLERS = {
    "/": home,
    "/environ": show_environ,
    "/settings": show_settings,
    "/stream": stream,
    "/echo": echo,
}
