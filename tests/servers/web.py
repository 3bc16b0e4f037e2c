"""An HTTP server that apps are to reach: `web.py [CERTIFICATE KEY]`. Prints its port.

`/take` tells what came as JSON, `/give?size=` sends so many bytes, `/gzip` a text packed, `/chunks` pieces of unknown length,
`/redirect?to=` leads elsewhere, `/never` is silent, `/broken` ends before its length is reached.
"""

import gzip
import hashlib
import http.server
import json
import ssl
import sys
import threading
from urllib.parse import parse_qs, urlsplit


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.body = self.read_body()
        url = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(url.query).items()}
        getattr(self, url.path.strip("/"))()

    do_POST = do_PUT = do_PROPFIND = do_GET

    def read_body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def take(self):
        told = {"method": self.command, "bytes": len(self.body), "sha256": hashlib.sha256(self.body).hexdigest(),
                "headers": {name.lower(): value for name, value in self.headers.items()}}
        self.answer(json.dumps(told).encode(), Content_Type="application/json", Set_Cookie="a=b")

    def give(self):
        self.answer(b"0123456789abcdef" * (int(self.query["size"]) // 16))

    def gzip(self):
        self.answer(gzip.compress(b"packed " * 1000), Content_Encoding="gzip")

    def chunks(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(100):
            piece = f"piece {number};".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def redirect(self):
        self.answer(b"", 302, Location=self.query["to"])

    def never(self):
        threading.Event().wait()

    def broken(self):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"some")
        self.close_connection = True


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if len(sys.argv) > 1:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
