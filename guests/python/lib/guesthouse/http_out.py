"""One outgoing request over ``wasi:http/outgoing-handler``, and its answer.

Bodies stream both ways. The waits are the guest's own, so that time-outs are those of the library that asks. Errors are the
exceptions that Python's sockets raise; one that a grant would mend says which. None of its handles outlives an exchange.
"""

import contextlib
import errno
import os
import socket
import ssl
import weakref

from componentize_py_types import Err, Ok
from wit_world.imports import monotonic_clock, outgoing_handler, poll, streams

from guesthouse import settings

try:
    # In a world that has 0.3 beside it.
    from wit_world.imports import wasi_http_types_0_2_12 as types
except ImportError:
    from wit_world.imports import types

METHODS = {
    "GET": types.Method_Get, "HEAD": types.Method_Head, "POST": types.Method_Post, "PUT": types.Method_Put,
    "DELETE": types.Method_Delete, "CONNECT": types.Method_Connect, "OPTIONS": types.Method_Options,
    "TRACE": types.Method_Trace, "PATCH": types.Method_Patch,
}

READ_MAX = 64 * 1024


class Denied(PermissionError):
    """The manifest does not grant requests to this origin."""


class Handles:
    """What an exchange has of the host's."""

    future = response = incoming = input = body = stream = None

    def close(self):
        """Drops all, children first, as WASI 0.2 demands."""
        for name in ("input", "incoming", "response", "future", "stream", "body"):
            resource = getattr(self, name)
            setattr(self, name, None)
            _drop(resource)


class Exchange:
    """``headers`` are pairs of text and bytes. Raises ``OSError``, or ``ValueError`` for what cannot be sent."""

    def __init__(self, secure, authority, method, target, headers, has_body, timeout):
        if settings._building:
            # A call of an import while the image is made is a trap.
            raise settings.NotServing("requests can be sent when a request is served, not while the component is built")
        self._origin = f"{'https' if secure else 'http'}://{authority}"
        self._answer = None
        # Apart from the exchange, and held by what ends it: the garbage collector would drop them in any order.
        self._handles = Handles()
        self.close = weakref.finalize(self, self._handles.close)
        self.close.atexit = False
        request = self._request(secure, authority, method, target, headers)
        if has_body:
            self._handles.body = request.body()
            self._handles.stream = self._handles.body.write()
        options = types.RequestOptions()
        if timeout:
            options.set_connect_timeout(_nanoseconds(timeout))
        try:
            self._handles.future = outgoing_handler.handle(request, options)
        except Err as error:
            self.close()
            raise self._error(error.value) from None

    def _request(self, secure, authority, method, target, headers):
        try:
            request = types.OutgoingRequest(types.Fields.from_list(headers))
        except Err as error:
            raise ValueError(f"a header is not acceptable: {type(error.value).__name__}: {headers}") from None
        known = METHODS.get(method)
        try:
            request.set_method(known() if known else types.Method_Other(method))
            request.set_scheme(types.Scheme_Https() if secure else types.Scheme_Http())
            request.set_authority(authority)
            request.set_path_with_query(target)
        except Err:
            _drop(request)
            raise ValueError(f"{method} {self._origin}{target} is no request that can be sent") from None
        return request

    def write(self, data, timeout):
        """Hands over a piece of the request's body."""
        offset = 0
        try:
            while offset < len(data):
                permit = self._handles.stream.check_write()
                if permit == 0:
                    _wait(self._handles.stream, timeout)
                    continue
                self._handles.stream.write(data[offset:offset + permit] if offset or permit < len(data) else data)
                offset += permit
        except Err as error:
            self._broken(error.value, timeout)

    def finish(self, timeout):
        """Ends the request's body. What is wrong with it, if anything, the answer will say."""
        if self._handles.stream is None:
            return
        try:
            self._handles.stream.flush()
            while self._handles.stream.check_write() == 0:
                _wait(self._handles.stream, timeout)
        except Err as error:
            # The host lets a body go that has reached its length.
            if isinstance(error.value, streams.StreamError_LastOperationFailed):
                _drop(error.value.value)
        _drop(self._handles.stream)
        body, self._handles.stream, self._handles.body = self._handles.body, None, None
        with contextlib.suppress(Err):
            types.OutgoingBody.finish(body, None)

    def _broken(self, error, timeout):
        """Nobody takes the body any more: the answer, or what came in its place, says why."""
        if isinstance(error, streams.StreamError_LastOperationFailed):
            _drop(error.value)
        self.head(timeout)
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def head(self, timeout):
        """Waits for the answer: its status and fields."""
        if self._answer is None:
            while (result := self._handles.future.get()) is None:
                _wait(self._handles.future, timeout)
            if not isinstance(result, Ok) or not isinstance(result.value, Ok):
                raise self._error(result.value.value if isinstance(result, Ok) else None)
            _drop(self._handles.future)
            self._handles.future, self._handles.response = None, result.value.value
            with self._handles.response.headers() as fields:
                self._answer = self._handles.response.status(), fields.entries()
            self._handles.incoming = self._handles.response.consume()
            self._handles.input = self._handles.incoming.stream()
        return self._answer

    def read(self, size, timeout):
        """Waits for more of the answer's body; nothing at its end."""
        try:
            while not (data := self._handles.input.read(min(size, READ_MAX))):
                _wait(self._handles.input, timeout)
            return data
        except Err as error:
            if isinstance(error.value, streams.StreamError_Closed):
                return b""
            with error.value.value as cause:
                code, text = types.http_error_code(cause), cause.to_debug_string()
            if code is None:
                raise ConnectionResetError(errno.ECONNRESET, f"the answer was broken off: {text}") from None
            raise self._error(code) from None

    def _error(self, code):
        kind = type(code).__name__.removeprefix("ErrorCode_")
        error = self._connecting(kind)
        if error is not None:
            error.connecting = True
            return error
        if kind in ("ConnectionReadTimeout", "ConnectionWriteTimeout", "HttpResponseTimeout"):
            return TimeoutError("timed out")
        if kind in ("ConnectionTerminated", "HttpResponseIncomplete"):
            return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        if kind in ("HttpRequestBodySize", "HttpResponseBodySize"):
            return OSError(errno.EFBIG, f"a body of {self._origin} is larger than the app's `limits.outgoing-body-mib`")
        value = getattr(code, "value", None)
        return OSError(errno.EIO, f"the request to {self._origin} failed: {kind}{f' ({value})' if value else ''}")

    def _connecting(self, kind):
        """What keeps a request from being sent at all; nothing where it is something else."""
        origin = self._origin
        if kind == "HttpRequestDenied":
            return Denied(errno.EACCES, f"requests to {origin} are not granted: add them to this app in the manifest, "
                                        f"with `grants.http = [\"{origin}\"]`")
        if kind == "DestinationIpProhibited":
            return PermissionError(errno.EACCES, f"{origin} leads to an address that is not public: grant its network "
                                                 "with `grants.networks`, as the log says")
        if kind in ("DnsError", "DnsTimeout", "DestinationNotFound"):
            return socket.gaierror(socket.EAI_NONAME, f"the name of {origin} is not known")
        if kind == "ConnectionRefused":
            return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        if kind == "ConnectionTimeout":
            return TimeoutError("timed out")
        if kind in ("DestinationUnavailable", "DestinationIpUnroutable"):
            return OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        if kind == "ConnectionLimitReached":
            return OSError(errno.EMFILE, "the app sends as many requests as it may at once: `limits.outgoing`")
        if kind == "TlsCertificateError":
            return ssl.SSLCertVerificationError(1, f"certificate verify failed: the host does not trust that of {origin}")
        if kind.startswith("Tls"):
            return ssl.SSLError(1, f"{origin} does not speak TLS as the host does")
        return None


def _wait(resource, timeout):
    with resource.subscribe() as ready:
        if not timeout:
            ready.block()
            return
        with monotonic_clock.subscribe_duration(_nanoseconds(timeout)) as timer:
            woken = poll.poll([ready, timer])
    if 0 not in woken:
        raise TimeoutError("timed out")


def _nanoseconds(seconds):
    return max(int(seconds * 1e9), 1)


def _drop(resource):
    if resource is not None:
        resource.__exit__(None, None, None)
