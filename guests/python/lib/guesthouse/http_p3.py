"""WSGI over ``wasi:http/handler@0.3``: many requests at once in one instance.

WSGI is synchronous and 0.3 is not. Between chunks an answer gives way to other requests; within a call of the
application it cannot. For the same reason ``wsgi.input`` cannot wait for the network: the request's body is read
before the application is called, which PEP 3333 allows ("Input and Error Streams"), while other requests go on. The
answer streams.

Every request runs in a :mod:`contextvars` context of its own, so that frameworks that keep the current request, language
or time zone in context variables (Django, Flask) do not mix them up.
"""

import asyncio
import io

import wit_world
import wit_world.exports
from componentize_py_async_support import spawn
from componentize_py_types import Err, Ok
from wit_world.imports import wasi_http_types_0_3_0 as types

from guesthouse import instance, wsgi

METHODS = {
    types.Method_Get: "GET", types.Method_Head: "HEAD", types.Method_Post: "POST", types.Method_Put: "PUT",
    types.Method_Delete: "DELETE", types.Method_Connect: "CONNECT", types.Method_Options: "OPTIONS",
    types.Method_Trace: "TRACE", types.Method_Patch: "PATCH",
}

READ_MAX = 64 * 1024
END = object()

new_trailers = wit_world.result_option_wasi_http_types_0_3_0_fields_wasi_http_types_0_3_0_error_code_future
new_outcome = wit_world.result_unit_wasi_http_types_0_3_0_error_code_future


class Handler(wit_world.exports.Handler):
    """The exported interface; componentize-py makes one object of it, and gives its base what starts a task."""

    async def handle(self, request):
        environ = None
        try:
            environ = await read_request(request)
            with outside_event_loop():
                app = instance.application()
                items = wsgi.Exchange(environ).run(app)
                head = next(items)
            response, body = make_response(head)
        except BaseException:
            wsgi.report(environ, "the application failed")
            wsgi.flush()
            kind, text = wsgi.failure_page()
            response, body = make_response(Failure(kind, text))
            items = iter([text])
        # The rest of the answer is sent after this function has returned its head.
        spawn(body.send(items, environ))
        return response


class Failure:
    status = 500
    bodiless = False

    def __init__(self, kind, text):
        self.headers = [("content-type", kind), ("content-length", str(len(text)).encode())]


class outside_event_loop:
    """Hides the running event loop from the application, which is synchronous code.

    Django refuses its database, and asgiref a nested loop, to code under a running loop, because other tasks would
    wait meanwhile. Here that is understood.
    """

    def __enter__(self):
        self._loop = asyncio._get_running_loop()
        asyncio._set_running_loop(None)

    def __exit__(self, *exc_info):
        asyncio._set_running_loop(self._loop)


async def read_request(request):
    method = request.get_method()
    scheme = request.get_scheme()
    authority = request.get_authority()
    path = request.get_path_with_query()
    with request.get_headers() as fields:
        headers = fields.copy_all()
    # The host is told nothing but that the request was taken; failures are told by the answer.
    outcome = new_outcome(lambda: Ok(None))[1]
    stream, trailers = types.Request.consume_body(request, outcome)
    body = io.BytesIO()
    with trailers, stream:
        while not stream.writer_dropped:
            body.write(await stream.read(READ_MAX))
    body.seek(0)
    return wsgi.make_environ(
        METHODS.get(type(method)) or method.value, "https" if isinstance(scheme, types.Scheme_Https) else "http",
        authority, path, headers, body)


def make_response(head):
    try:
        fields = types.Fields.from_list(head.headers)
    except Err as error:
        raise ValueError(f"a response header is not acceptable: {error.value}: {head.headers}") from None
    writer, reader = (None, None) if head.bodiless else wit_world.byte_stream()
    trailers_writer, trailers = new_trailers(lambda: Ok(None))
    response, sent = types.Response.new(fields, reader, trailers)
    response.set_status_code(head.status)
    return response, Body(writer, trailers_writer, sent)


class Body:
    """The rest of an answer. Breaking off is an error in place of its trailers, which ends the connection."""

    def __init__(self, writer, trailers, sent):
        self._writer = writer
        self._trailers = trailers
        self._sent = sent

    async def send(self, items, environ):
        outcome = Ok(None)
        try:
            while (chunk := self._next(items)) is not END:
                await self._writer.write_all(chunk)
                if self._writer.reader_dropped:
                    # Nobody is left to read: the application's close() runs, and that is all.
                    break
        except BaseException:
            wsgi.report(environ, "the application failed after its answer had begun")
            outcome = Err(types.ErrorCode_InternalError("the application failed"))
        try:
            self._close(items)
            if self._writer is not None:
                self._writer.__exit__(None, None, None)
            await self._trailers.write(outcome)
            self._sent.__exit__(None, None, None)
        except BaseException:
            wsgi.report(environ, "the answer could not be ended")
        wsgi.flush()

    def _next(self, items):
        with outside_event_loop():
            return next(items, END)

    def _close(self, items):
        close = getattr(items, "close", None)
        if close is not None:
            with outside_event_loop():
                close()
