"""Outgoing HTTP over what stands for sockets, against a strict stand-in for the host."""

import contextlib
import errno
import http.client
import io
import socket
import ssl
import threading
import unittest
import urllib.error
import urllib.request
from unittest import mock

from guesthouse import http_out, http_socket, settings, tls

from tests import host

YES = (200, [("Content-Length", "3"), ("X-A", "b")], [b"yes"])
types = host.types


class Sockets(unittest.TestCase):
    def setUp(self):
        settings._building = False
        init = http.client.HTTPConnection.__init__
        self.addCleanup(setattr, http.client.HTTPConnection, "__init__", init)
        handler = urllib.request.AbstractHTTPHandler
        self.addCleanup(setattr, handler, "do_open", handler.do_open)
        http_socket.install()
        host.OutgoingRequest.sent.clear()
        host.OutgoingRequest.answers[:] = []
        self.addCleanup(setattr, host.OutgoingRequest, "gone_after", None)
        # Where the module of the machine's own Python is asked for TLS.
        patched = mock.patch.object(ssl.SSLContext, "wrap_socket", tls.SSLContext.wrap_socket)
        patched.start()
        self.addCleanup(patched.stop)

    def tearDown(self):
        self.assertEqual(host.IncomingResponse.alive, 0, "answers are let go")

    def answer(self, *answers):
        host.OutgoingRequest.answers.extend(answers)

    @property
    def sent(self):
        return host.OutgoingRequest.sent[-1][0]

    def test_urllib(self):
        self.answer(YES)
        with urllib.request.urlopen("https://example.com/a?b=c", timeout=5) as answer:
            self.assertEqual((answer.status, answer.reason, answer.read(), answer.headers["x-a"]), (200, "OK", b"yes", "b"))
        sent = self.sent
        self.assertEqual((sent.method, sent.scheme, sent.authority, sent.path), ("GET", "https", "example.com", "/a?b=c"))
        self.assertIsNone(sent.sink)
        self.assertNotIn("host", {name.lower() for name, _ in sent.headers})
        self.assertEqual(host.OutgoingRequest.sent[-1][1], 5_000_000_000)

    def test_redirects_are_the_librarys(self):
        self.answer((302, [("Location", "http://other.example:81/there"), ("Content-Length", "0")], []), YES)
        with urllib.request.urlopen("https://example.com/") as answer:
            self.assertEqual((answer.url, answer.read()), ("http://other.example:81/there", b"yes"))
        self.assertEqual((self.sent.scheme, self.sent.authority), ("http", "other.example:81"))

    def test_bodies(self):
        body = b"0123456789" * 9
        self.answer(YES, YES, YES)
        for data, framing in ((body, "content-length"), (iter([body[:7], b"", body[7:]]), "chunked"), (io.BytesIO(body), "chunked")):
            connection = http.client.HTTPConnection("example.com", 8080)
            connection.request("POST", "/", data, encode_chunked=True)
            self.assertEqual(connection.getresponse().read(), b"yes")
            connection.close()
            self.assertEqual((self.sent.sink.data, self.sent.sink.finished), (body, True), framing)
            names = {name.lower() for name, _ in self.sent.headers}
            self.assertEqual("content-length" in names, framing == "content-length")
            self.assertNotIn("transfer-encoding", names)

    def test_answers_without_length_stream(self):
        self.answer((200, [], [b"a" * 10, b"b" * 10]))
        connection = http.client.HTTPSConnection("example.com")
        connection.request("GET", "/")
        answer = connection.getresponse()
        self.assertEqual((answer.read(4), answer.read1(99), answer.read()), (b"aaaa", b"a" * 6, b"b" * 10))

    def test_a_connection_is_taken_up_again(self):
        self.answer(YES, YES)
        connection = http.client.HTTPSConnection("example.com")
        for _ in range(2):
            connection.request("GET", "/")
            self.assertEqual(connection.getresponse().read(), b"yes")

    def test_errors(self):
        for code, kind, text in (
                (types.ErrorCode_HttpRequestDenied(), PermissionError, r'grants.http = \["https://\[::1\]:8443"\]'),
                (types.ErrorCode_DestinationIpProhibited(), PermissionError, "grants.networks"),
                (types.ErrorCode_DnsError(None), socket.gaierror, "not known"),
                (types.ErrorCode_ConnectionRefused(), ConnectionRefusedError, "refused"),
                (types.ErrorCode_ConnectionTimeout(), TimeoutError, "timed out"),
                (types.ErrorCode_TlsCertificateError(), ssl.SSLCertVerificationError, "verify failed"),
                (types.ErrorCode_InternalError("why"), OSError, "InternalError .why."),
                (None, TimeoutError, "timed out")):
            self.answer(code, code)
            connection = http.client.HTTPSConnection("::1", 8443, timeout=0.1)
            connection.request("GET", "/")
            with self.assertRaisesRegex(kind, text):
                connection.getresponse()
            connection.close()
            with self.assertRaises(OSError) as raised:
                urllib.request.urlopen("https://[::1]:8443/", timeout=0.1)
            # As with sockets: what keeps it from being sent is one error, and what comes after another.
            later = code is None or type(code) is types.ErrorCode_InternalError
            self.assertEqual(isinstance(raised.exception, urllib.error.URLError), not later)
            self.assertIsInstance(raised.exception if later else raised.exception.reason, kind)

    def test_an_answer_that_is_broken_off(self):
        self.answer((200, [], [b"some", OSError()]))
        connection = http.client.HTTPSConnection("example.com")
        connection.request("GET", "/")
        answer = connection.getresponse()
        self.assertEqual(answer.read(4), b"some")
        with self.assertRaises(ConnectionResetError):
            answer.read()
        answer.close()
        connection.close()

    def test_a_body_that_nobody_takes(self):
        host.OutgoingRequest.gone_after = 10
        self.answer(types.ErrorCode_HttpRequestDenied(), (413, [("Content-Length", "0")], []))
        with self.assertRaisesRegex(urllib.error.URLError, "grants.http"):
            urllib.request.urlopen("https://example.com/", b"0123456789" * 9)
        connection = http.client.HTTPSConnection("example.com")
        with self.assertRaises(BrokenPipeError):
            connection.request("POST", "/", b"0123456789" * 9)
        connection.sock.close()
        connection.close()

    def test_what_cannot_be_sent(self):
        connection = http.client.HTTPSConnection("example.com")
        for request in (("GET", "/", None, {"Host": "other.example"}), ("CONNECT", "x:1")):
            with self.assertRaises(OSError):
                connection.request(*request)
            connection.close()
        with self.assertRaises(OSError):
            http_socket.create_connection(("example.com", 80)).sendall(b"EHLO me\r\n\r\n")
        with self.assertRaises(OSError):
            http_socket.create_connection(("example.com", 80)).sendall(b"x" * 300_000)
        settings._building = True
        self.addCleanup(setattr, settings, "_building", False)
        with self.assertRaises(settings.NotServing):
            connection.request("GET", "/")

    def test_plain_http_goes_over_a_granted_connection(self):
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        received = []

        def serve():
            with contextlib.closing(listener), listener.accept()[0] as accepted:
                data = b""
                while not data.endswith(b"0123456789"):
                    data += accepted.recv(1000)
                received.append(data)
                accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nby")

        server = threading.Thread(target=serve)
        server.start()
        host.OutgoingRequest.gone_after = 10
        self.answer(types.ErrorCode_HttpRequestDenied())
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("POST", "/", b"0123456789" * 9)
        self.assertEqual(connection.getresponse().read(), b"by")
        connection.close()
        server.join()
        self.assertTrue(received[0].startswith(b"POST / HTTP/1.1\r\nHost: 127.0.0.1:"))
        # And where it is not granted either, the request is what is missing.
        self.answer(types.ErrorCode_HttpRequestDenied())
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/")
        with self.assertRaisesRegex(PermissionError, "grants.http"):
            connection.getresponse()
        connection.close()

    def test_urllib3s_connections(self):
        module = mock.Mock(__name__="urllib3.util.connection")
        http_socket._after_exec(module)
        self.answer(YES)
        with module.create_connection(("example.com", 443), 3, source_address=None, socket_options=[(6, 1, 1)]) as sock:
            tls.create_default_context().wrap_socket(sock, server_hostname="example.com")
            sock.sendall(b"GET / HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
            with sock.makefile("rb") as answer:
                self.assertEqual(answer.readline(), b"HTTP/1.1 200 OK\r\n")
        self.assertEqual(self.sent.authority, "example.com")


class Tls(unittest.TestCase):
    def test_names_of_the_module(self):
        """All that libraries import from it by name, as of urllib3, requests, pg8000, smtplib, asyncio."""
        removed = {"match_hostname", "wrap_socket", "RAND_pseudo_bytes", "RAND_egd"}
        theirs = {name for name, value in vars(ssl).items()
                  if not name.startswith(("_", "OP_", "ALERT_", "SO")) and not isinstance(value, type(ssl))
                  and getattr(value, "__module__", "ssl") in ("ssl", "_ssl")}
        self.assertLessEqual(theirs - removed, set(vars(tls)))
        self.assertEqual(tls.SSLError.__module__, "ssl")

    def test_contexts(self):
        context = tls.create_default_context()
        self.assertEqual((context.verify_mode, context.check_hostname), (tls.CERT_REQUIRED, True))
        with self.assertRaises(ValueError):
            context.verify_mode = tls.CERT_NONE
        with self.assertRaises(tls.SSLError) as raised:
            context.wrap_socket(socket.socket())
        self.assertIn("grants.http", str(raised.exception))
        for call in (lambda: context.load_cert_chain("a"), tls.MemoryBIO, lambda: context.wrap_bio(None, None)):
            self.assertRaises(tls.SSLError, call)
        self.assertEqual(tls.PEM_cert_to_DER_cert(tls.DER_cert_to_PEM_cert(b"abc" * 50)), b"abc" * 50)
        self.assertTrue(issubclass(tls.SSLCertVerificationError, (OSError, ValueError)))
