"""A server that speaks as much of MySQL's protocol as a client wants that connects and asks: `mysql.py`. Prints its port.

The user `native` is asked for `mysql_native_password`, the user `sha2` for `caching_sha2_password` in full, as MySQL does where
it has not seen him since it began. Who got so far has his statements sent back to him, as a row each.
"""

import socketserver

SALT = b"abcdefghijklmnopqrst"
#: Of what it can do: PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH, CONNECT_WITH_DB, TRANSACTIONS.
CAPABILITIES = 0x0008A208 | 0x1
OK = b"\x00\x00\x00\x02\x00\x00\x00"
END = b"\xfe\x00\x00\x02\x00"


def sized(data):
    return bytes([len(data)]) + data


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        plugin = b"mysql_native_password"
        self.number = 0
        self.send(b"\x0a8.4.0\0" + (7).to_bytes(4, "little") + SALT[:8] + b"\0"
                  + (CAPABILITIES & 0xFFFF).to_bytes(2, "little") + b"\x2d\x02\x00" + (CAPABILITIES >> 16).to_bytes(2, "little")
                  + bytes([21]) + bytes(10) + SALT[8:] + b"\0" + plugin + b"\0")
        user = self.receive()[32:].partition(b"\0")[0]
        if user == b"sha2":
            self.send(b"\xfecaching_sha2_password\0" + SALT + b"\0")
            self.receive()
            # Not known from before: wanted is the password itself, under the server's public key.
            self.send(b"\x01\x04")
            if self.receive() == b"\x02":
                self.send(b"\x01-----BEGIN PUBLIC KEY-----\nMDwwDQYJKoZIhvcNAQEBBQADKwAwKAIhAMCF\n-----END PUBLIC KEY-----\n")
                self.receive()
        self.send(OK)
        while command := self.receive(begin=True):
            if command[0] == 1:
                return
            if command[0] == 3 and command[1:7].upper() == b"SELECT":
                self.row(command[1:])
            else:
                self.send(OK)

    def row(self, text):
        column = b"".join(map(sized, (b"def", b"", b"", b"", b"said", b"said")))
        self.send(b"\x01")
        self.send(column + b"\x0c\x2d\x00" + (1024).to_bytes(4, "little") + b"\xfd\x00\x00\x00\x00\x00")
        self.send(END)
        self.send(sized(text))
        self.send(END)

    def send(self, data):
        self.wfile.write(len(data).to_bytes(3, "little") + bytes([self.number]) + data)
        self.number = (self.number + 1) % 256

    def receive(self, begin=False):
        head = self.rfile.read(4)
        if len(head) < 4:
            return b""
        self.number = (head[3] + 1) % 256
        return self.rfile.read(int.from_bytes(head[:3], "little"))


if __name__ == "__main__":
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()
