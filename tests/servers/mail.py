"""A mail server (RFC 5321) that takes everything. Prints its port, then a line of JSON for each message."""

import json
import socketserver


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("220 test")
        message = {"to": []}
        while line := self.rfile.readline().decode().rstrip("\r\n"):
            verb = line[:4].upper()
            if verb == "MAIL":
                message["from"] = line[10:].split()[0].strip("<>")
            elif verb == "RCPT":
                message["to"].append(line[8:].strip("<>"))
            elif verb == "DATA":
                self.say("354 go on")
                message["data"] = self.data()
                print(json.dumps(message), flush=True)
                message = {"to": []}
            elif verb == "QUIT":
                self.say("221 bye")
                return
            self.say("250 test" if verb == "EHLO" else "250 ok")

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def data(self):
        text = b""
        while (line := self.rfile.readline()) != b".\r\n":
            text += line.removeprefix(b".") if line.startswith(b"..") else line
        return text.decode()


with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()
