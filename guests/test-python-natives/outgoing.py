"""Requests that go out, by the libraries that projects use."""

import gc
import hashlib
import http.client
import urllib.request
from urllib.parse import urlsplit

import requests
from django.http import JsonResponse

PIECE = bytes(range(256)) * 256


def fetch(request):
    """``?client=`` sends ``?method=`` to ``?url=`` with ``?size=`` bytes, in pieces of unknown number with ``?stream=``."""
    query = request.GET
    size = int(query.get("size", 0))
    body = pieces(size) if "stream" in query else b"".join(pieces(size))
    timeout = float(query.get("timeout", 20))
    try:
        return JsonResponse(CLIENTS[query["client"]](query.get("method", "GET"), query["url"], body or None, timeout))
    except Exception as error:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        return JsonResponse({"error": str(error), "kinds": kinds, "reason": type(getattr(error, "reason", None)).__name__})


def leave(request):
    """Leaves answers of ``?url=`` unread, and requests to there unsent, and all of it to the garbage collector."""
    parts = urlsplit(request.GET["url"])
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    for _ in range(int(request.GET["count"])):
        connection = kind(parts.hostname, parts.port, timeout=20)
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        answer.read(1)
        # Nothing but the collector ends a circle.
        answer.itself = answer
        connection = kind(parts.hostname, parts.port, timeout=20)
        connection.putrequest("POST", parts.path)
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        connection.send(b"5\r\nhello\r\n")
        connection.itself = connection
    del connection, answer
    return JsonResponse({"collected": gc.collect()})


def pieces(size):
    while size > 0:
        yield PIECE[:size]
        size -= len(PIECE)


def by_urllib(method, url, body, timeout):
    with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=timeout) as answer:
        return told(answer.status, answer.url, answer.headers, iter(lambda: answer.read(65536), b""))


def by_http_client(method, url, body, timeout):
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body, encode_chunked=body is not None)
        answer = connection.getresponse()
        return told(answer.status, url, answer.headers, iter(lambda: answer.read(65536), b""))
    finally:
        connection.close()


def by_requests(method, url, body, timeout):
    with requests.Session() as session:
        answer = session.request(method, url, data=body, timeout=timeout, stream=True)
        result = told(answer.status_code, answer.url, answer.headers, answer.iter_content(65536))
        result["cookies"] = session.cookies.get_dict()
        return result


def told(status, url, headers, body):
    digest, size, begins = hashlib.sha256(), 0, b""
    for piece in body:
        digest.update(piece)
        size += len(piece)
        begins = begins or piece[:1000]
    return {"status": status, "url": url, "headers": {name.lower(): value for name, value in headers.items()},
            "bytes": size, "sha256": digest.hexdigest(), "begins": begins.decode("latin-1")}


CLIENTS = {"urllib": by_urllib, "http.client": by_http_client, "requests": by_requests}
