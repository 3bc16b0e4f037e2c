"""What stands for a socket where a library speaks HTTP over one: ``http.client``, ``urllib.request``, urllib3 and requests.

It takes the bytes of a request, sends the request by ``wasi:http``, and gives the answer as bytes again. So the host
resolves, checks and connects, and does TLS; pools, redirects, cookies and codings are the library's as ever. Each request
has a connection of its own: the answer says ``Connection: close``.

Plain HTTP to where requests are not granted, but connections are (``grants.tcp``), goes over a socket.
"""

import io
import ipaddress
import socket
from http.client import HTTPConnection, responses
from urllib.error import URLError
from urllib.request import AbstractHTTPHandler

from guesthouse import http_out, importer

HEAD_MAX = 256 * 1024
#: What is kept until it is known that the request is granted: more than the host takes of the body before.
KEPT_MAX = 512 * 1024
#: The connection's own, which is the host's.
OF_CONNECTION = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "trailer",
                           "http2-settings", "host", "expect"})


def install():
    """Has ``http.client`` connect by these."""
    init = HTTPConnection.__init__

    def __init__(self, *arguments, **options):
        init(self, *arguments, **options)
        self._create_connection = create_connection

    __init__.__wrapped__ = init
    HTTPConnection.__init__ = __init__
    do_open = AbstractHTTPHandler.do_open

    def open_(self, *arguments, **options):
        try:
            return do_open(self, *arguments, **options)
        except OSError as error:
            # With a socket these come before the request is sent, where they are wrapped.
            if getattr(error, "connecting", False):
                raise URLError(error) from error
            raise

    AbstractHTTPHandler.do_open = open_
    importer.watchers.append(_after_exec)


def _after_exec(module):
    if module.__name__.endswith("urllib3.util.connection"):
        module.create_connection = create_connection
    elif module.__name__.endswith("urllib3.util.wait"):
        module.wait_for_read = _wait_for_read(module.wait_for_read)
    elif module.__name__ == "httpcore._backends.sync":
        # That of httpx.
        module.SyncBackend.connect_tcp = lambda self, host, port, timeout=None, local_address=None, socket_options=None: (
            module.SyncStream(create_connection((host, port), timeout)))


def _wait_for_read(wait):
    """Nothing comes before the request is sent whole, for which botocore waits with a body that it announced."""
    return lambda sock, timeout=None: not isinstance(sock, HttpSocket) and wait(sock, timeout)


def create_connection(address, timeout=socket._GLOBAL_DEFAULT_TIMEOUT, source_address=None, *_, **_options):
    """In the place of ``socket.create_connection``. Nothing is connected before there is a request."""
    return HttpSocket(address, socket.getdefaulttimeout() if timeout is socket._GLOBAL_DEFAULT_TIMEOUT else timeout)


class HttpSocket:
    """The part of a socket's interface, and of an ``ssl.SSLSocket``'s, that libraries of HTTP use."""

    family, type, proto = socket.AF_INET, socket.SOCK_STREAM, 0

    def __init__(self, address, timeout):
        self._host, self._port = address[:2]
        self._timeout = timeout
        self.context = self.server_hostname = None
        self._buffer = bytearray()
        self._body = self._exchange = self._socket = None
        self._kept = bytearray()
        self._answer = None
        self._readers = 0
        self._closed = False

    def secure(self, context, server_hostname):
        """What ``ssl.SSLContext.wrap_socket`` is to do: the host does it, with the name of the host that is asked."""
        self.context, self.server_hostname = context, server_hostname
        return self

    # The request.

    def sendall(self, data, flags=0):
        data = memoryview(data).tobytes()
        if self._socket is not None:
            return self._socket.sendall(data)
        if self._kept is not None:
            self._kept += data
        try:
            self._feed(data)
        except http_out.Denied as denied:
            self._fall_back(denied)

    def send(self, data, flags=0):
        self.sendall(data)
        return len(data)

    def _feed(self, data):
        if self._body is None:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > HEAD_MAX:
                    raise OSError(f"the head of a request is larger than {HEAD_MAX} bytes, or is no HTTP")
                return
            head, data = bytes(self._buffer[:end]), bytes(self._buffer[end + 4:])
            self._buffer.clear()
            self._begin(head)
        elif self._body.ended and data:
            raise OSError("a connection carries one request")
        if not self._body.ended:
            for piece in self._body.feed(data):
                self._exchange.write(piece, self._timeout)
                if self._kept is not None and len(self._kept) > KEPT_MAX:
                    self._kept = None
            if self._body.ended:
                self._exchange.finish(self._timeout)

    def _begin(self, head):
        first, *lines = head.decode("latin-1").split("\r\n")
        try:
            method, target, _ = first.split(" ")
            fields = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        except ValueError:
            raise OSError(f"{first!r} does not begin a request of HTTP/1.1") from None
        if method == "CONNECT" or not target.startswith(("/", "*")):
            raise OSError("requests by way of a proxy are not possible here")
        known = {name.lower(): value for name, value in fields}
        authority = self._authority()
        if known.get("host", authority).lower().removesuffix(self._default()) != authority.lower():
            raise OSError(f"a request to {authority} cannot have the header Host: {known['host']}")
        body = Chunks() if "chunked" in known.get("transfer-encoding", "") else Sized(int(known.get("content-length", 0)))
        headers = [(name, value.encode("latin-1")) for name, value in fields if name.lower() not in OF_CONNECTION]
        self._exchange = http_out.Exchange(self.context is not None, authority, method, target, headers, not body.ended,
                                           self._timeout)
        self._body = body

    def _default(self):
        return ":443" if self.context is not None else ":80"

    def _authority(self):
        try:
            literal = f"[{self._host}]" if ipaddress.ip_address(self._host).version == 6 else self._host
        except ValueError:
            literal = self._host
        return f"{literal}:{self._port}".removesuffix(self._default())

    def _fall_back(self, denied):
        """Where connections are granted, they carry what was to be a request of the host's."""
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None
        if self.context is not None or self._kept is None:
            raise denied
        try:
            self._socket = socket.create_connection((self._host, self._port), self._timeout)
        except OSError:
            raise denied from None
        self._socket.sendall(bytes(self._kept))

    # The answer.

    def recv(self, size, flags=0):
        if self._socket is None and self._answer is None:
            self._wait_for_head()
        if self._socket is not None:
            return self._socket.recv(size)
        if self._answer:
            data = bytes(self._answer[:size])
            del self._answer[:size]
            return data
        return self._exchange.read(size, self._timeout) if size and self._exchange is not None else b""

    def recv_into(self, buffer, size=0, flags=0):
        view = memoryview(buffer).cast("B")
        data = self.recv(size or len(view))
        view[:len(data)] = data
        return len(data)

    def _wait_for_head(self):
        if self._exchange is None:
            raise OSError("there is no answer before a request")
        try:
            status, fields = self._exchange.head(self._timeout)
        except http_out.Denied as denied:
            return self._fall_back(denied)
        self._kept = None
        head = [f"HTTP/1.1 {status} {responses.get(status, '')}".encode()]
        head += [name.encode() + b": " + value for name, value in fields if name.lower() not in OF_CONNECTION]
        self._answer = bytearray(b"\r\n".join([*head, b"Connection: close", b"", b""]))

    def makefile(self, mode="r", buffering=None, *, encoding=None, errors=None, newline=None):
        raw = _Raw(self, mode)
        if buffering == 0:
            return raw
        size = io.DEFAULT_BUFFER_SIZE if buffering in (None, -1) else buffering
        if "r" in mode and "w" in mode:
            file = io.BufferedRWPair(raw, raw, size)
        else:
            file = io.BufferedWriter(raw, size) if "w" in mode else io.BufferedReader(raw, size)
        return file if "b" in mode else io.TextIOWrapper(file, encoding, errors, newline)

    # The rest.

    def settimeout(self, timeout):
        self._timeout = timeout
        if self._socket is not None:
            self._socket.settimeout(timeout)

    def gettimeout(self):
        return self._timeout

    def setblocking(self, blocking):
        self.settimeout(None if blocking else 0.0)

    def setsockopt(self, *arguments):
        pass

    def getsockopt(self, *arguments):
        return 0

    def getpeername(self):
        return self._host, self._port

    def getsockname(self):
        return "0.0.0.0", 0

    def fileno(self):
        return -1

    def shutdown(self, how):
        pass

    def close(self):
        self._closed = True
        self._end()

    def _end(self):
        if self._closed and not self._readers:
            for part in (self._exchange, self._socket):
                if part is not None:
                    part.close()
            self._exchange = self._socket = None

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    # Of TLS.

    def do_handshake(self, block=False):
        pass

    def unwrap(self):
        return self

    def getpeercert(self, binary_form=False):
        return None if binary_form else {}

    def version(self):
        return "TLSv1.3"

    def cipher(self):
        return None

    def selected_alpn_protocol(self):
        return None


class _Raw(io.RawIOBase):
    """A file over the socket, which keeps it open."""

    def __init__(self, sock, mode):
        self._sock, self._mode = sock, mode
        sock._readers += 1

    def readable(self):
        return "r" in self._mode

    def writable(self):
        return "w" in self._mode

    def readinto(self, buffer):
        return self._sock.recv_into(buffer)

    def write(self, data):
        return self._sock.send(data)

    def close(self):
        if not self.closed:
            super().close()
            self._sock._readers -= 1
            self._sock._end()


class Sized:
    """A body of known length."""

    def __init__(self, length):
        self._left = length
        self.ended = length == 0

    def feed(self, data):
        if len(data) > self._left:
            raise OSError("the body of a request is longer than its Content-Length")
        self._left -= len(data)
        self.ended = self._left == 0
        if data:
            yield data


class Chunks:
    """A body in chunks (RFC 9112, section 7.1), without what frames them."""

    def __init__(self):
        self._buffer = bytearray()
        #: Bytes left of the present chunk with its line end; none between two.
        self._left = None
        self._last = False
        self.ended = False

    def feed(self, data):
        self._buffer += data
        while not self.ended:
            if self._left is None:
                line, found, rest = self._buffer.partition(b"\r\n")
                if not found:
                    return
                self._buffer = rest
                if self._last:
                    # The end of the trailers, which nobody wants.
                    self.ended = not line
                elif (size := int(line.partition(b";")[0], 16)) == 0:
                    self._last = True
                else:
                    self._left = size + 2
            elif not self._buffer:
                return
            else:
                piece = bytes(self._buffer[:self._left])
                del self._buffer[:self._left]
                payload = piece[:max(self._left - 2, 0)]
                self._left = self._left - len(piece) or None
                if payload:
                    yield payload
