"""PEP 3333, as far as it needs no transport."""

import io
import sys
import unittest

from guesthouse import wsgi


def environ(method="GET", path="/", headers=(), scheme="http", authority="example.org"):
    pairs = [(name, value.encode("latin-1")) for name, value in headers]
    made = wsgi.make_environ(method, scheme, authority, path, pairs, io.BytesIO())
    made["wsgi.errors"] = io.StringIO()
    return made


def run(app, **request):
    exchange = wsgi.Exchange(environ(**request))
    head, *chunks = list(exchange.run(app))
    return head, chunks


def simple(*chunks, status="200 OK", headers=()):
    def app(environ, start_response):
        start_response(status, list(headers))
        return list(chunks)
    return app


class Environ(unittest.TestCase):
    def test_path_is_decoded_to_bytes_as_characters(self):
        made = environ(path="/caf%C3%A9/%2Fx?a=%20b")
        self.assertEqual(made["PATH_INFO"], "/café/".encode().decode("latin-1") + "/x")
        self.assertEqual(made["QUERY_STRING"], "a=%20b")

    def test_mount_point_is_the_stripped_prefix(self):
        made = environ(path="/cart", headers=[("x-forwarded-prefix", "/shop/")])
        self.assertEqual((made["SCRIPT_NAME"], made["PATH_INFO"]), ("/shop", "/cart"))
        self.assertEqual(environ()["SCRIPT_NAME"], "")

    def test_server_name_and_port(self):
        for authority, scheme, expected in (
            ("a.b:8000", "http", ("a.b", "8000")), ("a.b", "https", ("a.b", "443")), ("a.b", "http", ("a.b", "80")),
            ("[::1]:81", "http", ("[::1]", "81")), ("[::1]", "http", ("[::1]", "80")), ("u@h:1", "http", ("h", "1")),
        ):
            made = environ(authority=authority, scheme=scheme)
            self.assertEqual((made["SERVER_NAME"], made["SERVER_PORT"]), expected)
            self.assertEqual((made["HTTP_HOST"], made["wsgi.url_scheme"]), (authority, scheme))

    def test_headers(self):
        made = environ(headers=[("Content-Type", "a/b"), ("content-length", "3"), ("X-A", "1"), ("x-a", "2"),
                                ("Cookie", "a=1"), ("cookie", "b=2"), ("x-real-ip", "192.0.2.1"), ("X-B", "\xe9")])
        self.assertEqual((made["CONTENT_TYPE"], made["CONTENT_LENGTH"]), ("a/b", "3"))
        self.assertNotIn("HTTP_CONTENT_TYPE", made)
        self.assertEqual((made["HTTP_X_A"], made["HTTP_COOKIE"], made["HTTP_X_B"]), ("1,2", "a=1; b=2", "\xe9"))
        self.assertEqual(made["REMOTE_ADDR"], "192.0.2.1")

    def test_underscores_cannot_pose_as_the_hosts_headers(self):
        made = environ(headers=[("x_real_ip", "6.6.6.6"), ("X_Forwarded_Prefix", "/evil"), ("x-real-ip", "192.0.2.1")])
        self.assertEqual((made["REMOTE_ADDR"], made["SCRIPT_NAME"]), ("192.0.2.1", ""))

    def test_required_keys(self):
        made = environ()
        self.assertIs(type(made), dict)
        self.assertEqual((made["wsgi.version"], made["wsgi.multithread"], made["wsgi.multiprocess"], made["wsgi.run_once"]),
                         ((1, 0), False, True, False))


class Answers(unittest.TestCase):
    def test_length_of_a_single_chunk(self):
        head, chunks = run(simple(b"abc"))
        self.assertIn(("content-length", b"3"), head.headers)
        self.assertEqual(chunks, [b"abc"])

    def test_no_length_for_more(self):
        head, chunks = run(simple(b"a", b"", b"b"))
        self.assertEqual((head.headers, chunks), ([], [b"a", b"b"]))

    def test_empty_answer(self):
        head, chunks = run(simple())
        self.assertEqual((head.headers, chunks), ([("content-length", b"0")], []))

    def test_head_is_sent_with_the_first_bytes(self):
        seen = []

        def app(environ, start_response):
            start_response("200 OK", [])
            yield b""
            seen.append("before")
            yield b"x"
            seen.append("after")

        items = wsgi.Exchange(environ()).run(app)
        next(items)
        self.assertEqual(seen, ["before"])

    def test_head_request_sends_no_body_and_does_not_drain_it(self):
        closed = []

        def endless():
            try:
                while True:
                    yield b"x"
            finally:
                closed.append(True)

        def app(environ, start_response):
            start_response("200 OK", [("Content-Length", "5")])
            return endless()

        head, chunks = run(app, method="HEAD")
        self.assertEqual((head.content_length, chunks, head.bodiless, closed), (5, [], True, [True]))

    def test_no_content(self):
        head, chunks = run(simple(b"dropped", status="204 No Content"))
        self.assertEqual((head.headers, chunks, head.bodiless), ([], [], True))

    def test_too_much_is_cut(self):
        _, chunks = run(simple(b"abc", b"def", headers=[("Content-Length", "4")]))
        self.assertEqual(chunks, [b"abc", b"d"])

    def test_too_little_is_a_failure(self):
        with self.assertRaisesRegex(RuntimeError, "sent 3 bytes, its Content-Length says 4"):
            run(simple(b"abc", headers=[("Content-Length", "4")]))

    def test_write(self):
        def app(environ, start_response):
            write = start_response("200 OK", [])
            write(b"a")
            write(b"b")
            return [b"c"]

        head, chunks = run(app)
        self.assertEqual((head.headers, chunks), ([], [b"a", b"b", b"c"]))

        sent = []
        exchange = wsgi.Exchange(environ(), sent.append)
        items = exchange.run(app)
        self.assertEqual((next(items), sent[1:]), (b"c", [b"a", b"b"]))

    def test_write_alone(self):
        def app(environ, start_response):
            start_response("200 OK", [])(b"all")
            return []

        self.assertEqual(run(app)[1], [b"all"])

    def test_close_is_called_whatever_happens(self):
        for failing in (False, True):
            class Result:
                closed = 0

                def __iter__(self):
                    yield b"a"
                    if failing:
                        raise ValueError("failing on purpose")

                def close(self):
                    Result.closed += 1

            def app(environ, start_response):
                start_response("200 OK", [])
                return Result()

            try:
                run(app)
            except ValueError:
                self.assertTrue(failing)
            self.assertEqual(Result.closed, 1)

    def test_failing_close_is_only_told(self):
        class Result(list):
            def close(self):
                raise ValueError("failing on purpose")

        def app(environ, start_response):
            start_response("200 OK", [])
            return Result([b"a"])

        made = environ()
        self.assertEqual(list(wsgi.Exchange(made).run(app))[1:], [b"a"])
        self.assertIn("failing on purpose", made["wsgi.errors"].getvalue())


class StartResponse(unittest.TestCase):
    def refuse(self, error, status="200 OK", headers=(), message=""):
        with self.assertRaisesRegex(error, message):
            run(simple(b"x", status=status, headers=headers))

    def test_refusals(self):
        self.refuse(ValueError, status="200")
        self.refuse(ValueError, status="OK 200")
        self.refuse(ValueError, status="100 Continue")
        self.refuse(ValueError, headers=[("Connection", "close")], message="hop-by-hop")
        self.refuse(ValueError, headers=[("Transfer-Encoding", "chunked")], message="hop-by-hop")
        self.refuse(ValueError, headers=[("A", "b\r\nC: d")])
        self.refuse(TypeError, headers=[("A", b"b")])
        self.refuse(ValueError, headers=[("Content-Length", "many")])

    def test_headers_must_be_a_list(self):
        with self.assertRaises(TypeError):
            wsgi.Exchange(environ()).start_response("200 OK", (("A", "b"),))

    def test_once_only_without_exc_info(self):
        exchange = wsgi.Exchange(environ())
        exchange.start_response("200 OK", [])
        with self.assertRaises(AssertionError):
            exchange.start_response("200 OK", [])

    def test_exc_info_replaces_what_was_not_sent(self):
        def app(environ, start_response):
            start_response("200 OK", [("A", "b")])
            try:
                raise ValueError
            except ValueError:
                start_response("503 No", [], sys.exc_info())
            return [b"x", b"y"]

        head, _ = run(app)
        self.assertEqual((head.status, head.headers), (503, []))

    def test_exc_info_raises_what_came_too_late(self):
        def app(environ, start_response):
            start_response("200 OK", [])
            yield b"a"
            try:
                raise ValueError("too late")
            except ValueError:
                start_response("503 No", [], sys.exc_info())

        with self.assertRaisesRegex(ValueError, "too late"):
            run(app)

    def test_body_before_start_response(self):
        with self.assertRaises(AssertionError):
            run(lambda environ, start_response: [b"x"])

    def test_text_is_no_body(self):
        with self.assertRaises(TypeError):
            run(simple("text"))
