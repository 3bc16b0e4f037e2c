"""WSGI over ``wasi:http/incoming-handler@0.2``: synchronous, one request at a time in one instance.

Bodies stream both ways: the request's is read when the application reads, and each chunk of the answer is handed over
before the application is asked for the next one. Handles are dropped children first, as WASI 0.2 demands; leaving
that to the garbage collector would trap.
"""

from componentize_py_types import Err, Ok
from wit_world.imports import streams, types

from guesthouse import instance, wsgi
from guesthouse.output import WRITE_MAX

METHODS = {
    types.Method_Get: "GET", types.Method_Head: "HEAD", types.Method_Post: "POST", types.Method_Put: "PUT",
    types.Method_Delete: "DELETE", types.Method_Connect: "CONNECT", types.Method_Options: "OPTIONS",
    types.Method_Trace: "TRACE", types.Method_Patch: "PATCH",
}

READ_MAX = 64 * 1024


class IncomingHandler:
    """The exported interface; componentize-py makes one object of it when the image is made."""

    def handle(self, request, response_out):
        answer = Answer(response_out)
        body = Input(request)
        environ = None
        try:
            environ = read_request(request, body)
            app = instance.application()
            exchange = wsgi.Exchange(environ, answer.send)
            for item in exchange.run(app):
                answer.send(item)
            answer.finish()
        except ClientGone:
            # Nobody is left to be told, and the application's close() has run.
            answer.abort()
        except BaseException:
            wsgi.report(environ, "the application failed")
            answer.fail()
        finally:
            body.drop()
            drop(request)
            wsgi.flush()


class ClientGone(Exception):
    """The answer's reader went away."""


def read_request(request, body):
    method = request.method()
    scheme = request.scheme()
    fields = request.headers()
    headers = fields.entries()
    drop(fields)
    return wsgi.make_environ(
        METHODS.get(type(method)) or method.value, "https" if isinstance(scheme, types.Scheme_Https) else "http",
        request.authority(), request.path_with_query(), headers, body)


class Input:
    """``wsgi.input``: reads from the host only what the application asks for."""

    def __init__(self, request):
        self._request = request
        self._body = None
        self._stream = None
        self._buffer = bytearray()
        self._ended = False

    def read(self, size=-1):
        if size is None or size < 0:
            while self._fill():
                pass
            return self._take(len(self._buffer))
        while len(self._buffer) < size and self._fill(size - len(self._buffer)):
            pass
        return self._take(size)

    def readline(self, size=-1):
        start = 0
        while True:
            end = self._buffer.find(b"\n", start) + 1
            if 0 <= (size if size is not None else -1) <= (end or len(self._buffer)):
                return self._take(size)
            if end:
                return self._take(end)
            start = len(self._buffer)
            if not self._fill():
                return self._take(start)

    def readlines(self, hint=-1):
        lines, total = [], 0
        for line in self:
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint <= total:
                break
        return lines

    def __iter__(self):
        return iter(self.readline, b"")

    def _take(self, count):
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _fill(self, wanted=READ_MAX):
        """Waits for more of the body; false at its end. Raises ``OSError`` where the host or client broke it off."""
        if self._ended:
            return False
        if self._stream is None:
            self._body = self._request.consume()
            self._stream = self._body.stream()
        try:
            self._buffer += self._stream.blocking_read(min(wanted, READ_MAX))
            return True
        except Err as error:
            self._ended = True
            if isinstance(error.value, streams.StreamError_Closed):
                return False
            cause = error.value.value
            text = cause.to_debug_string()
            drop(cause)
            raise OSError(f"the request's body was broken off: {text}") from None

    def drop(self):
        self._ended = True
        drop(self._stream)
        drop(self._body)
        self._stream = self._body = None


class Answer:
    """The outgoing side. Breaking off is dropping the body unfinished, which the client sees as an incomplete answer."""

    def __init__(self, response_out):
        self._out = response_out
        self._body = None
        self._stream = None
        self._length = None
        self._flushed = False

    def send(self, item):
        if isinstance(item, bytes):
            self._write(item)
        else:
            self._length = item.content_length
            self._begin(item.status, item.headers)

    def _begin(self, status, headers):
        try:
            response = types.OutgoingResponse(types.Fields.from_list(headers))
        except Err as error:
            raise ValueError(f"a response header is not acceptable: {error.value}: {headers}") from None
        # What a response begins with.
        if status != 200:
            response.set_status_code(status)
        self._body = response.body()
        out, self._out = self._out, None
        types.ResponseOutparam.set(out, Ok(response))

    def _write(self, data):
        try:
            if self._stream is None:
                self._stream = self._body.write()
                if len(data) == self._length and len(data) <= WRITE_MAX:
                    # The whole of it in one call.
                    self._stream.blocking_write_and_flush(data)
                    self._flushed = True
                    return
            offset = 0
            while offset < len(data):
                permit = self._stream.check_write()
                if permit == 0:
                    with self._stream.subscribe() as ready:
                        ready.block()
                    continue
                self._stream.write(data[offset:offset + permit] if offset or permit < len(data) else data)
                offset += permit
        except Err as error:
            if isinstance(error.value, streams.StreamError_LastOperationFailed):
                drop(error.value.value)
            raise ClientGone() from None

    def finish(self):
        if self._stream is not None:
            if not self._flushed:
                self._flush()
            drop(self._stream)
            self._stream = None
        body, self._body = self._body, None
        try:
            types.OutgoingBody.finish(body, None)
        except Err:
            # The host compares the length sent with the one announced, which for HEAD differ by right; for the rest
            # `wsgi.Exchange` has compared them already.
            pass

    def _flush(self):
        try:
            self._stream.blocking_flush()
        except Err as error:
            if isinstance(error.value, streams.StreamError_LastOperationFailed):
                drop(error.value.value)

    def abort(self):
        drop(self._stream)
        drop(self._body)
        self._stream = self._body = None

    def fail(self):
        """After an exception: a page of our own where nothing has been said yet, else no end to what was begun."""
        if self._out is None:
            self.abort()
            return
        try:
            kind, text = wsgi.failure_page()
            self._begin(500, [("content-type", kind), ("content-length", str(len(text)).encode())])
            self._write(text)
            self.finish()
        except Exception:
            wsgi.report(None, "the answer to a failure could not be sent")
            self.abort()


def drop(resource):
    if resource is not None:
        resource.__exit__(None, None, None)
