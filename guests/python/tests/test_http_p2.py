"""The transport over wasi:http 0.2, against a strict stand-in for the host."""

import contextlib
import io
import unittest
import unittest.mock

from guesthouse import http_p2, instance

from tests import host


def call(app, gone_after=None, **request):
    """One request; returns the status, headers, body, whether it was ended properly, and standard error."""
    instance._application, instance._before_next = app, None if app else instance._start
    incoming, out = host.IncomingRequest(**request), host.ResponseOutparam(gone_after)
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        http_p2.IncomingHandler().handle(incoming, out)
    assert incoming.dropped and out.response.sink.dropped
    response = out.response
    return response.status, dict(response.fields.list), response.sink.data, response.sink.finished, errors.getvalue()


class Handle(unittest.TestCase):
    def tearDown(self):
        instance._application, instance._before_next = None, instance._start

    def test_short_answer_is_written_in_one_call(self):
        def app(environ, start_response):
            start_response("200 OK", [("X-A", "b")])
            return [b"0123456789" * 7]

        status, headers, body, finished, _ = call(app)
        self.assertEqual((status, headers, body, finished),
                         (200, {"X-A": b"b", "content-length": b"70"}, b"0123456789" * 7, True))
        self.assertEqual(host.ResponseOutparam.current.response.sink.calls, ["blocking_write_and_flush"])

    def test_answer_is_written_in_permitted_pieces(self):
        # One chunk that is too long for one call, and chunks of which each is not the whole.
        for chunks in ([b"0123456789" * 500], [b"0123456789ab", b"3"]):
            def app(environ, start_response):
                start_response("200 OK", [("Content-Length", str(len(b"".join(chunks))))])
                return iter(chunks)

            body = b"".join(chunks)
            self.assertEqual(call(app)[2:4], (body, True))
            calls = host.ResponseOutparam.current.response.sink.calls
            self.assertEqual(calls, ["write"] * sum(-(-len(chunk) // 10) for chunk in chunks) + ["blocking_flush"])

    def test_client_that_left_before_a_short_answer(self):
        closed = []

        class Chunks(list):
            def close(self):
                closed.append(True)

        def app(environ, start_response):
            start_response("200 OK", [])
            return Chunks([b"abc"])

        _, _, body, finished, errors = call(app, gone_after=0)
        self.assertEqual((body, finished, closed, errors), (b"", False, [True], ""))

    def test_body_is_read_on_demand(self):
        seen = []

        def app(environ, start_response):
            body = environ["wsgi.input"]
            seen.extend([body.read(2), body.readline(), body.readline(3), body.readlines(), body.read(), body.readline()])
            start_response("200 OK", [])
            return []

        call(app, method="POST", chunks=[b"ab", b"c", b"d\nef", b"gh\nij\n", b"k"])
        self.assertEqual(seen, [b"ab", b"cd\n", b"efg", [b"h\n", b"ij\n", b"k"], b"", b""])

    def test_body_not_asked_for_is_not_consumed(self):
        request = host.IncomingRequest(method="POST", chunks=[b"abc"])

        def app(environ, start_response):
            start_response("200 OK", [])
            return []

        instance._application, instance._before_next = app, None
        http_p2.IncomingHandler().handle(request, host.ResponseOutparam())
        self.assertFalse(request.consumed)

    def test_broken_body_is_an_os_error(self):
        def app(environ, start_response):
            try:
                environ["wsgi.input"].read()
            except OSError as error:
                start_response("400 Bad Request", [])
                return [str(error).encode()]

        status, _, body, _, _ = call(app, method="POST", chunks=[b"a", OSError()])
        self.assertEqual((status, body), (400, b"the request's body was broken off: broken"))

    def test_echo(self):
        def app(environ, start_response):
            start_response("200 OK", [])
            return iter(lambda: environ["wsgi.input"].read(7), b"")

        data = bytes(range(256)) * 9
        self.assertEqual(call(app, method="POST", chunks=[data[:1000], data[1000:]])[2], data)

    def test_failure_before_the_head(self):
        def app(environ, start_response):
            start_response("200 OK", [("X-A", "b")])
            raise SystemExit(3)

        status, headers, body, finished, errors = call(app)
        self.assertEqual((status, body, finished), (500, b"500 Internal Server Error\n", True))
        self.assertNotIn("X-A", headers)
        self.assertIn("SystemExit: 3", errors)

    def test_failure_after_the_head_leaves_the_answer_unfinished(self):
        def app(environ, start_response):
            start_response("200 OK", [])
            yield b"begun"
            raise ValueError("failing on purpose")

        status, _, body, finished, errors = call(app)
        self.assertEqual((status, body, finished), (200, b"begun", False))
        self.assertIn("failing on purpose", errors)

    def test_client_that_left_ends_the_application(self):
        closed = []

        def app(environ, start_response):
            start_response("200 OK", [])
            try:
                while True:
                    yield b"0123456789"
            finally:
                closed.append(True)

        _, _, body, finished, errors = call(app, gone_after=40)
        self.assertEqual((len(body), finished, closed, errors), (40, False, [True], ""))

    def test_forbidden_header_is_a_failure(self):
        def app(environ, start_response):
            start_response("200 OK", [("Host", "x")])
            return [b"x"]

        status, _, _, _, errors = call(app)
        self.assertEqual(status, 500)
        self.assertIn("not acceptable", errors)

    def test_head(self):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Length", "3")])
            return [b"abc"]

        _, headers, body, finished, _ = call(app, method="HEAD")
        self.assertEqual((headers["Content-Length"], body, finished), (b"3", b"", True))

    def test_methods(self):
        def app(environ, start_response):
            start_response("200 OK", [])
            return [environ["REQUEST_METHOD"].encode()]

        for method in ("GET", "POST", "PATCH", "PROPFIND"):
            self.assertEqual(call(app, method=method)[2], method.encode())

    def test_project_that_cannot_be_loaded_fails_every_time(self):
        instance.wsgi = "no_such_module:app"
        self.addCleanup(setattr, instance, "_failure", None)
        self.addCleanup(setattr, host.settings, "values", {})
        from guesthouse import settings
        settings._building = False
        with unittest.mock.patch.object(instance.sys, "path", []):
            for _ in range(2):
                status, _, _, _, errors = call(None)
                self.assertEqual(status, 500)
                self.assertIn("No module named 'no_such_module'", errors)
