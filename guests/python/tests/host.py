"""Plays the host for the bridge: the modules that componentize-py generates, reduced to what the bridge uses.

It is strict where the real one is: handles dropped twice or before their children, writes beyond the permit and answers
set twice are errors.
"""

import dataclasses
import json
import sys
import types as python
from typing import Any


@dataclasses.dataclass
class Ok:
    value: Any


@dataclasses.dataclass(frozen=True)
class Err(Exception):
    value: Any


METHODS = ("Get", "Head", "Post", "Put", "Delete", "Connect", "Options", "Trace", "Patch")


class Resource:
    parent = None

    def __init__(self):
        self.dropped = False
        self.children = 0
        if self.parent is not None:
            self.parent.children += 1

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        assert not self.dropped, f"{type(self).__name__} dropped twice"
        assert self.children == 0, f"{type(self).__name__} dropped before its children"
        self.dropped = True
        if self.parent is not None:
            self.parent.children -= 1


class Fields(Resource):
    def __init__(self, entries=(), parent=None):
        self.parent = parent
        super().__init__()
        self.list = list(entries)

    @classmethod
    def from_list(cls, entries):
        for name, value in entries:
            assert isinstance(name, str) and isinstance(value, bytes)
            if name.lower() in ("connection", "transfer-encoding", "host"):
                raise Err("forbidden")
        return cls(entries)

    def entries(self):
        return list(self.list)

    copy_all = entries


class StreamError_Closed:
    pass


@dataclasses.dataclass
class StreamError_LastOperationFailed:
    value: Any


class IoError(Resource):
    def to_debug_string(self):
        return "broken"


class InputStream(Resource):
    def __init__(self, parent, chunks):
        self.parent = parent
        super().__init__()
        self.chunks = chunks

    def blocking_read(self, size):
        if not self.chunks:
            raise Err(StreamError_Closed())
        chunk = self.chunks.pop(0)
        if isinstance(chunk, Exception):
            raise Err(StreamError_LastOperationFailed(IoError()))
        if len(chunk) > size:
            self.chunks.insert(0, chunk[size:])
        return chunk[:size]

    # What there is, there is at once.
    read = blocking_read

    def subscribe(self):
        return Pollable(self)


class IncomingBody(Resource):
    def __init__(self, parent, chunks):
        self.parent = None
        super().__init__()
        self.chunks = chunks

    def stream(self):
        return InputStream(self, self.chunks)


class IncomingRequest(Resource):
    def __init__(self, method="GET", path="/", headers=(), chunks=(), scheme="http", authority="example.org"):
        super().__init__()
        self._method, self._path, self._headers = method, path, [(n, v.encode("latin-1")) for n, v in headers]
        self._scheme, self._authority = scheme, authority
        self.chunks = list(chunks)
        self.consumed = False

    def method(self):
        known = getattr(types, f"Method_{self._method.title()}", None)
        return known() if known else types.Method_Other(self._method)

    def scheme(self):
        return types.Scheme_Https() if self._scheme == "https" else types.Scheme_Http()

    def authority(self):
        return self._authority

    def path_with_query(self):
        return self._path

    def headers(self):
        return Fields(self._headers, self)

    def consume(self):
        assert not self.consumed
        self.consumed = True
        return IncomingBody(self, self.chunks)


class Pollable(Resource):
    def __init__(self, parent):
        self.parent = parent
        super().__init__()

    def block(self):
        self.parent.permit = self.parent.window

    def ready(self):
        return getattr(self.parent, "comes", True)


class OutputStream(Resource):
    #: How much may be written before one has to wait.
    window = 10

    def __init__(self, parent):
        self.parent = parent
        super().__init__()
        self.permit = self.window

    def check_write(self):
        if self.parent.gone_after is not None and len(self.parent.data) >= self.parent.gone_after:
            raise Err(StreamError_Closed())
        return self.permit

    def write(self, data):
        assert isinstance(data, bytes) and len(data) <= self.permit
        self.permit -= len(data)
        self.parent.data += data
        self.parent.calls.append("write")

    def blocking_write_and_flush(self, data):
        assert isinstance(data, bytes) and len(data) <= 4096
        self.check_write()
        self.parent.data += data
        self.parent.calls.append("blocking_write_and_flush")

    def subscribe(self):
        return Pollable(self)

    def blocking_flush(self):
        self.parent.calls.append("blocking_flush")

    def flush(self):
        self.parent.calls.append("flush")


class OutgoingBody(Resource):
    def __init__(self, response, gone_after):
        self.response, self.gone_after = response, gone_after
        super().__init__()
        self.data = b""
        self.calls = []
        self.finished = False

    def write(self):
        return OutputStream(self)

    @staticmethod
    def finish(body, trailers):
        body.__exit__()
        body.finished = True


class OutgoingResponse:
    gone_after = None

    def __init__(self, fields):
        self.fields = fields
        self.status = 200

    def set_status_code(self, status):
        self.status = status

    def body(self):
        self.sink = OutgoingBody(self, ResponseOutparam.current.gone_after)
        return self.sink


class ResponseOutparam:
    current = None

    def __init__(self, gone_after=None):
        self.response = None
        self.gone_after = gone_after
        ResponseOutparam.current = self

    @staticmethod
    def set(out, result):
        assert out.response is None, "answered twice"
        out.response = result.value


class OutgoingRequest(Resource):
    """What a guest sends; ``answers`` has what comes in its place: ``(status, headers, chunks)``, or an error code."""

    sent = []
    answers = []
    gone_after = None

    def __init__(self, fields):
        super().__init__()
        self.headers = [(name, value.decode("latin-1")) for name, value in fields.list]
        self.sink = None

    def set_method(self, method):
        self.method = type(method).__name__.removeprefix("Method_").upper()

    def set_scheme(self, scheme):
        self.scheme = type(scheme).__name__.removeprefix("Scheme_").lower()

    def set_authority(self, authority):
        self.authority = authority

    def set_path_with_query(self, path):
        if " " in path:
            raise Err(None)
        self.path = path

    def body(self):
        self.sink = OutgoingBody(self, OutgoingRequest.gone_after)
        return self.sink


class RequestOptions(Resource):
    timeout = None

    def set_connect_timeout(self, timeout):
        self.timeout = timeout


class FutureIncomingResponse(Resource):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer
        #: Whether it ever comes.
        self.comes = answer is not None

    def subscribe(self):
        return Pollable(self)

    def get(self):
        if not self.comes:
            return None
        if not isinstance(self.answer, tuple):
            return Ok(Err(self.answer))
        return Ok(Ok(IncomingResponse(*self.answer)))


class IncomingResponse(Resource):
    alive = 0

    def __init__(self, status, headers, chunks):
        super().__init__()
        self._status, self._headers = status, [(name, value.encode("latin-1")) for name, value in headers]
        self.chunks = list(chunks)
        IncomingResponse.alive += 1

    def __exit__(self, *exc_info):
        super().__exit__(*exc_info)
        IncomingResponse.alive -= 1

    def status(self):
        return self._status

    def headers(self):
        return Fields(self._headers, self)

    def consume(self):
        return IncomingBody(self, self.chunks)


def handle(request, options):
    OutgoingRequest.sent.append((request, options.timeout))
    return FutureIncomingResponse(OutgoingRequest.answers.pop(0))


def poll_all(pollables):
    return [number for number, one in enumerate(pollables) if one.ready()]


types = python.ModuleType("wit_world.imports.types")
for name in METHODS:
    setattr(types, f"Method_{name}", dataclasses.make_dataclass(f"Method_{name}", []))
types.Method_Other = dataclasses.make_dataclass("Method_Other", ["value"])
types.Scheme_Http = dataclasses.make_dataclass("Scheme_Http", [])
types.Scheme_Https = dataclasses.make_dataclass("Scheme_Https", [])
types.ErrorCode_InternalError = dataclasses.make_dataclass("ErrorCode_InternalError", ["value"])
for code in ("HttpRequestDenied", "ConnectionRefused", "ConnectionTimeout", "TlsCertificateError", "DestinationIpProhibited"):
    setattr(types, f"ErrorCode_{code}", dataclasses.make_dataclass(f"ErrorCode_{code}", []))
types.ErrorCode_DnsError = dataclasses.make_dataclass("ErrorCode_DnsError", ["value"])
types.http_error_code = lambda error: None
for resource in (Fields, IncomingRequest, OutgoingResponse, OutgoingBody, ResponseOutparam, OutgoingRequest, RequestOptions):
    setattr(types, resource.__name__, resource)

streams = python.ModuleType("wit_world.imports.streams")
streams.StreamError_Closed = StreamError_Closed
streams.StreamError_LastOperationFailed = StreamError_LastOperationFailed

settings = python.ModuleType("wit_world.imports.settings")
for case in ("Boolean", "Integer", "Float", "Text", "List", "Table"):
    setattr(settings, f"Value_{case}", dataclasses.make_dataclass(f"Value_{case}", ["value"]))
settings.values = {}


def find(path):
    value = settings.values
    for part in path.split(".") if path else ():
        value = value.get(part) if isinstance(value, dict) else None
    return value


def get(path):
    value = find(path)
    for kind, case in ((bool, "Boolean"), (int, "Integer"), (float, "Float"), (str, "Text")):
        if isinstance(value, kind):
            return getattr(settings, f"Value_{case}")(value)
    if isinstance(value, list):
        return settings.Value_List(len(value))
    return settings.Value_Table(list(value)) if isinstance(value, dict) else None


settings.get = get
settings.get_json = lambda path: None if find(path) is None else json.dumps(find(path))
settings.generation = lambda: 7

secrets = python.ModuleType("wit_world.imports.secrets")
secrets.values = {}
#: How often a secret was revealed.
secrets.revealed = 0


class Secret(Resource):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def reveal(self):
        secrets.revealed += 1
        return secrets.values[self.name]


def get_secret(name):
    if name not in secrets.values:
        raise Err("not-found")
    return Secret(name)


secrets.get = get_secret
secrets.names = lambda: sorted(secrets.values)

outgoing_handler = python.ModuleType("wit_world.imports.outgoing_handler")
outgoing_handler.handle = handle
poll = python.ModuleType("wit_world.imports.poll")
poll.poll = poll_all
monotonic_clock = python.ModuleType("wit_world.imports.monotonic_clock")
monotonic_clock.subscribe_duration = lambda duration: Pollable(None)

passwords = python.ModuleType("wit_world.imports.passwords")
passwords.Error_UnknownHash = dataclasses.make_dataclass("Error_UnknownHash", [])
passwords.Error_OverMaxmem = dataclasses.make_dataclass("Error_OverMaxmem", [])
for case in ("Invalid", "OverMemory", "OverTime"):
    setattr(passwords, f"Error_{case}", dataclasses.make_dataclass(f"Error_{case}", ["value"]))

environment = python.ModuleType("wit_world.imports.environment")
environment.values = []
environment.get_environment = lambda: list(environment.values)


class Console(Resource):
    """Standard output or error: takes what one call may carry, and knows how many handles are out."""

    written = b""
    alive = 0

    def __enter__(self):
        Console.alive += 1
        return self

    def __exit__(self, *exc_info):
        super().__exit__()
        Console.alive -= 1

    def blocking_write_and_flush(self, data):
        assert isinstance(data, bytes) and len(data) <= 4096
        Console.written += data


stdout = python.ModuleType("wit_world.imports.stdout")
stdout.get_stdout = Console
stderr = python.ModuleType("wit_world.imports.stderr")
stderr.get_stderr = Console


def install():
    world = python.ModuleType("wit_world")
    world.imports = python.ModuleType("wit_world.imports")
    for module in (types, streams, outgoing_handler, poll, monotonic_clock, settings, secrets, passwords, environment,
                   stdout, stderr):
        setattr(world.imports, module.__name__.rpartition(".")[2], module)
        sys.modules[module.__name__] = module
    immortal = python.ModuleType("_immortal")
    immortal.mark = lambda objects: []
    immortal.recode = lambda function, code: setattr(function, "__code__", code)
    sys.modules["_immortal"] = immortal
    base = python.ModuleType("componentize_py_types")
    base.Ok, base.Err = Ok, Err
    sys.modules.update({"wit_world": world, "wit_world.imports": world.imports, "componentize_py_types": base})
