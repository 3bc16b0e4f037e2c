"""An HTTP server that the checks of packages ask: `objects.py`. Prints its port.

`/take` tells what came as JSON, `/give?size=` sends so many bytes, `/gzip` a text packed; `/s3/BUCKET/KEY` keeps an object, and
`/api/PROJECT/envelope/` takes what Sentry sends, of which `/told` tells.
"""

import gzip
import http.server
import json
from urllib.parse import parse_qs, urlsplit

objects = {}
envelopes = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if url.path == "/take":
            self.tell({"method": self.command, "bytes": len(body)})
        elif url.path == "/give":
            self.answer(b"0123456789abcdef" * (int(parse_qs(url.query)["size"][0]) // 16))
        elif url.path == "/gzip":
            self.answer(gzip.compress(b"packed " * 1000), Content_Encoding="gzip")
        elif url.path == "/told":
            self.tell({"envelopes": sum(b"for Sentry" in envelope for envelope in envelopes)})
        elif url.path.startswith("/api/"):
            envelopes.append(body)
            self.tell({})
        elif self.command == "PUT":
            objects[url.path] = body
            self.answer(b"", ETag='"0"')
        else:
            self.answer(objects[url.path])

    do_POST = do_PUT = do_GET

    def tell(self, told):
        self.answer(json.dumps(told).encode(), Content_Type="application/json", Set_Cookie="a=b")

    def answer(self, body, **headers):
        self.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
