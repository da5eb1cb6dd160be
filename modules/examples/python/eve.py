"""What a program needs to be a module of Eve: one WebSocket in JSON, by the standard library alone.
Copy this file next to your program; docs/protocol.md says what operations take and give."""
import base64, json, os, socket, struct, urllib.parse


class Kernel:
    """The kernel that started this program. It answers pings while it reads, so read at least every 10 s."""

    def __init__(self):
        url = urllib.parse.urlsplit(os.environ["EVE_KERNEL"])
        self.sock = socket.create_connection((url.hostname, url.port))
        self.file, self.ids, self.later = self.sock.makefile("rb"), 0, []
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall((f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                           f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                           "Sec-WebSocket-Protocol: eve.v1.json\r\n\r\n").encode())
        if b" 101 " not in self.file.readline():
            raise ConnectionError("the kernel refused the connection")
        while self.file.readline().strip():
            pass
        self.send("hello", proto=1, module=os.environ["EVE_MODULE"], token=os.environ["EVE_TOKEN"])
        self.welcome = self.receive()[1]

    def send(self, kind, **body):
        self._write(1, json.dumps({kind: body}).encode())

    def receive(self):
        """The next frame as (kind, body)."""
        while True:
            op, n = self._read(2)
            if n > 125:
                n, = struct.unpack(">H" if n == 126 else ">Q", self._read(2 if n == 126 else 8))
            body = self._read(n)
            if op == 0x89:  # ping
                self._write(10, body)
            elif op == 0x81:  # text
                return next(iter(json.loads(body).items()))

    def call(self, op, **fields):
        """Asks for an operation and returns the answer; what else comes meanwhile is kept for events()."""
        self.ids += 1
        self.send("req", id=self.ids, op=op, **fields)
        while True:
            kind, body = self.receive()
            if kind == "res" and body["id"] == self.ids:
                if "code" in body:
                    raise RuntimeError(body["code"] + ": " + body["msg"])
                return body
            self.later.append((kind, body))

    def events(self):
        """Yields frames until the kernel says bye."""
        while True:
            kind, body = self.later.pop(0) if self.later else self.receive()
            if kind == "bye":
                return self.send("bye")
            yield kind, body

    def _write(self, op, body):
        key, n = os.urandom(4), len(body)
        size = bytes([128 | n]) if n < 126 else struct.pack(">BH", 254, n) if n < 65536 else struct.pack(">BQ", 255, n)
        self.sock.sendall(bytes([128 | op]) + size + key + bytes(b ^ key[i & 3] for i, b in enumerate(body)))

    def _read(self, n):
        data = self.file.read(n)
        if len(data) < n:
            raise ConnectionError("the kernel is gone")
        return data
