"""PEP 3333, free of any transport: environ, start_response, and the life of one answer.

The two transports (``http_p2``, ``http_p3``) hand in a request's parts and take out a head and chunks; this module
never touches ``wasi:http``. It does not log, except for an application's failures, which go to ``wsgi.errors``.
"""

import sys
import traceback
from html import escape
from urllib.parse import unquote_to_bytes

from guesthouse import archive

# PEP 3333, "Other HTTP Features": applications may not use hop-by-hop features; RFC 2616 section 13.5.1 names them.
HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers", "transfer-encoding",
    "upgrade",
})

# RFC 9110 section 6.4.1: such answers have no content. Those to HEAD have none either.
BODILESS = frozenset({204, 205, 304})

INTERNAL_ERROR = b"500 Internal Server Error\n"

#: What is shown of a failure where the project is being worked on (``guesthouse dev``).
FAILURE_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#222}}
h1{{font-size:1.3rem;color:#a11}}pre{{background:#f6f6f6;padding:1rem;overflow:auto;font-size:.85rem}}</style></head>
<body><h1>{title}</h1><pre>{text}</pre>
<p>Save the file that is to blame, then load this page again.</p></body></html>
"""


def cgi_name(name):
    """A request header's CGI name (RFC 3875 section 4.1.18), or nothing for a header that is left out."""
    name = name.lower()
    # With CGI's names `x_real_ip` and `x-real-ip` would be the same variable: a client could pose as the host.
    if "_" in name:
        return None
    name = name.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + name


# Those that most requests have. Not a cache: clients choose the names.
CGI_NAMES = {name: cgi_name(name) for name in (
    "accept", "accept-encoding", "accept-language", "authorization", "cache-control", "content-length", "content-type",
    "cookie", "dnt", "forwarded", "host", "if-modified-since", "if-none-match", "origin", "pragma", "priority", "range",
    "referer", "sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform", "sec-fetch-dest", "sec-fetch-mode",
    "sec-fetch-site", "sec-fetch-user", "traceparent", "upgrade-insecure-requests", "user-agent", "via",
    "x-forwarded-for", "x-forwarded-host", "x-forwarded-prefix", "x-forwarded-proto", "x-real-ip", "x-request-id",
    "x-requested-with",
)}


def make_environ(method, scheme, authority, path_with_query, headers, body):
    """The ``environ`` of PEP 3333 for one request.

    ``headers`` are pairs of name and bytes as they came; ``authority`` is the effective one, as ``host[:port]``.
    """
    path, _, query = (path_with_query or "/").partition("?")
    server_name, server_port = split_authority(authority or "localhost", scheme)
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": decode_path(path),
        "QUERY_STRING": query,
        "SERVER_NAME": server_name,
        "SERVER_PORT": server_port,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "guesthouse",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": body,
        # Reading ends with the body whether or not its length was announced; Werkzeug looks for this key.
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    add_headers(environ, headers)
    environ["HTTP_HOST"] = authority or "localhost"
    # Both are the host's own: whatever a client sends under these names was replaced before it came here.
    environ["SCRIPT_NAME"] = decode_path(environ.get("HTTP_X_FORWARDED_PREFIX", "")).rstrip("/")
    environ["REMOTE_ADDR"] = environ.get("HTTP_X_REAL_IP", "")
    return environ


def add_headers(environ, headers):
    """Adds the request's headers under their CGI names."""
    for name, value in headers:
        key = CGI_NAMES.get(name) or cgi_name(name)
        if key is None:
            continue
        value = value.decode("latin-1")
        if key in environ and key.startswith("HTTP_"):
            value = environ[key] + ("; " if key == "HTTP_COOKIE" else ",") + value
        environ[key] = value


def decode_path(path):
    """Percent-decoded, each byte one character ("Unicode Issues" in PEP 3333)."""
    if "%" not in path:
        return path if path.isascii() else path.encode("utf-8").decode("latin-1")
    return unquote_to_bytes(path).decode("latin-1")


def split_authority(authority, scheme):
    """SERVER_NAME and SERVER_PORT, neither ever empty. An IPv6 literal keeps its brackets (RFC 3875 section 4.1.14)."""
    host = authority.rpartition("@")[2]
    name, colon, port = host.rpartition(":")
    if not colon or "]" in port:
        name, port = host, ""
    return name, port or ("443" if scheme == "https" else "80")


class Exchange:
    """One call of an application.

    :meth:`run` drives it as a generator of a :class:`Head` and then chunks of bytes. What ``write()`` is given is sent
    at once through ``send`` where the transport can block, and with the next chunk where it cannot.
    """

    def __init__(self, environ, send=None):
        self.environ = environ
        self.head = None
        self.head_sent = False
        self._send = send
        self._length = None
        self._sent = 0
        self._written = []
        self._no_body = environ["REQUEST_METHOD"] == "HEAD"

    def start_response(self, status, headers, exc_info=None):
        if exc_info:
            try:
                if self.head_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.head is not None:
            raise AssertionError("start_response called a second time without exc_info")
        self.head = Head(status, headers)
        return self.write

    def write(self, data):
        """The imperative way to send, kept by PEP 3333 for old frameworks."""
        items = self._emit(data, None)
        if self._send is None:
            self._written.extend(items)
        else:
            for item in items:
                self._send(item)

    def run(self, app):
        """Yields the head, once, then chunks. An exception that comes out is the application's failure."""
        result = app(self.environ, self.start_response)
        try:
            for chunk in result:
                if self._written:
                    yield from self._take_written()
                yield from self._emit(chunk, result)
                if self._done():
                    break
            yield from self._take_written()
            if not self.head_sent:
                yield self._take_head(0)
            if self._length is not None and not self._no_body and self._sent < self._length:
                raise RuntimeError(
                    f"the application sent {self._sent} bytes, its Content-Length says {self._length}")
        finally:
            self._close(result)

    def _close(self, result):
        close = getattr(result, "close", None)
        if close is None:
            return
        try:
            close()
        except Exception:
            # The answer stands or falls with its chunks, and they have gone out.
            report(self.environ, "closing the answer failed")

    def _take_written(self):
        items, self._written = self._written, []
        return items

    def _emit(self, chunk, result):
        """What is to be sent for a chunk: the head before the first one."""
        if not isinstance(chunk, bytes):
            raise TypeError(f"the application sent {type(chunk).__name__} where PEP 3333 wants bytes")
        if not chunk:
            return ()
        head = ()
        if not self.head_sent:
            # One chunk alone: its length is that of the whole, and the client need not be sent chunks.
            alone = isinstance(result, (list, tuple)) and len(result) == 1
            head = (self._take_head(len(chunk) if alone else None),)
        if self._no_body:
            return head
        if self._length is not None and self._sent + len(chunk) > self._length:
            too_many = self._sent + len(chunk) - self._length
            chunk = chunk[:self._length - self._sent]
            errors = self.environ["wsgi.errors"]
            errors.write(f"the application sent {too_many} bytes more than its Content-Length says: they are dropped\n")
        self._sent += len(chunk)
        return (*head, chunk) if chunk else head

    def _take_head(self, whole_length):
        head = self.head
        if head is None:
            raise AssertionError("the application sent its body before it called start_response")
        self._no_body = self._no_body or head.status in BODILESS
        self._length = head.content_length
        if self._length is None and whole_length is not None and not self._no_body:
            self._length = head.content_length = whole_length
            head.headers.append(("content-length", str(whole_length).encode()))
        head.bodiless = self._no_body
        self.head_sent = True
        return head

    def _done(self):
        # Nothing more will be sent: an endless generator asked with HEAD must not run for ever.
        return self.head_sent and self._no_body


class Head:
    """A checked status and header list, the values as bytes."""

    __slots__ = ("status", "headers", "content_length", "bodiless")

    def __init__(self, status, headers):
        if not isinstance(status, str) or len(status) < 4 or not status[:3].isdigit() or status[3] != " ":
            raise ValueError(f"{status!r} is no status: PEP 3333 wants three digits, a space and a reason")
        if not isinstance(headers, list):
            raise TypeError(f"the response headers must be a list, not {type(headers).__name__}")
        self.status = int(status[:3])
        if self.status < 200:
            raise ValueError(f"{status!r} is no final status")
        self.headers = [check_header(*header) for header in headers]
        self.content_length = None
        self.bodiless = False
        for name, value in self.headers:
            if name.lower() == "content-length":
                if not value.isdigit():
                    raise ValueError(f"{value!r} is no Content-Length")
                self.content_length = int(value)


def check_header(name, value):
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"response header {name!r}: {value!r}: both must be str")
    if name.lower() in HOP_BY_HOP:
        raise ValueError(f"{name} is a hop-by-hop header, which PEP 3333 forbids to applications")
    # One by one, which for the few there are is far quicker than a loop or a pattern.
    if ("\n" in value or "\r" in value or "\0" in value or not name or ":" in name or " " in name or "\n" in name
            or "\r" in name or "\0" in name):
        raise ValueError(f"response header {name!r}: {value!r} has a character that headers may not have")
    # Django's cookies come with a space before them.
    return name, value.strip(" \t").encode("latin-1")


def report(environ, what):
    """Writes the current exception to ``wsgi.errors``; never raises."""
    try:
        errors = environ["wsgi.errors"] if environ else sys.stderr
        where = f"{environ['REQUEST_METHOD']} {environ['SCRIPT_NAME']}{environ['PATH_INFO']}: " if environ else ""
        error = sys.exc_info()[1]
        text = "".join(traceback.format_exception(type(error), error, their_frames(error.__traceback__)))
        errors.write(f"{where}{what}\n{text}")
        errors.flush()
    except Exception:
        pass


def failure_page():
    """Content type and body of the answer to a request that failed: with the traceback where its author looks at it."""
    error = sys.exc_info()[1]
    if not archive.mounted or error is None:
        return b"text/plain; charset=utf-8", INTERNAL_ERROR
    # Where the project could not be loaded, that is told to every request after the first as well.
    error = error.__cause__ or error
    # Django tries to explain a URLconf that cannot be loaded by loading it again, once for each middleware.
    while type(error.__context__) is type(error) and str(error.__context__) == str(error):
        error = error.__context__
    title = escape("".join(traceback.format_exception_only(error)).strip().splitlines()[-1])
    text = "".join(traceback.format_exception(type(error), error, their_frames(error.__traceback__)))
    body = FAILURE_PAGE.format(title=title, text=escape(text))
    return b"text/html; charset=utf-8", body.encode("utf-8", "backslashreplace")


def their_frames(frames):
    """A traceback from the application's first frame on: ours tell a person nothing."""
    first = frames
    while first is not None and first.tb_frame.f_globals.get("__package__") == __package__:
        first = first.tb_next
    return first or frames


def flush():
    """Hands buffered output to the host before an instance may be let go."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
