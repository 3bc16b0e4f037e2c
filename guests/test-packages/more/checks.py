"""What a web app does with each package: those of HTTP, of ASGI, of keys and passwords, and those of native code.

The form is that of the checks in `site`.
"""

import base64
import io
import os

#: A server of the test, in the place of those that apps ask.
WEB = os.environ.get("WEB", "http://127.0.0.1:9")
#: A PNG of one pixel.
PIXEL = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4"
         "z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC")


def fastapi():
    """fastapi: an application with a model."""
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Item(BaseModel):
        name: str

    FastAPI().post("/")(lambda item: item)


def starlette_application():
    """starlette: an application with a route."""
    starlette()


def starlette_request():
    """starlette: a request, by asyncio."""
    import asyncio

    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    asyncio.run(starlette()(scope, receive, send))
    assert sent[1]["body"] == b"hello"


def starlette_served():
    """starlette: being the guest's application."""
    # What guests have is WSGI (PEP 3333), with these two arguments.
    starlette()({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda status, headers: None)


def starlette():
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def hello(request):
        return PlainTextResponse("hello")

    return Starlette(routes=[Route("/", hello)])


def uvicorn():
    """uvicorn: serving an application."""
    import uvicorn

    async def application(scope, receive, send):
        pass

    uvicorn.Server(uvicorn.Config(application, port=0, lifespan="off")).run()


def gunicorn():
    """gunicorn: serving an application."""
    from gunicorn.app.base import BaseApplication

    BaseApplication().run()


def requests():
    """requests: GET and POST with JSON, where `grants.http` has the server."""
    import requests

    answer = requests.get(f"{WEB}/take", timeout=10)
    assert answer.json()["method"] == "GET" and answer.cookies["a"] == "b"
    assert requests.post(f"{WEB}/take", json={"a": 1}, timeout=10).json()["bytes"] == 8


def urllib3():
    """urllib3: a pool, a packed answer."""
    import urllib3

    answer = urllib3.PoolManager().request("GET", f"{WEB}/gzip", timeout=10)
    assert answer.data == b"packed " * 1000


def httpx_client():
    """httpx: `Client`: GET and POST with JSON."""
    import httpx

    with httpx.Client(timeout=10) as client:
        assert client.get(f"{WEB}/take").json()["method"] == "GET"
        assert client.post(f"{WEB}/take", json={"a": 1}).json()["bytes"] == 7
        assert client.get(f"{WEB}/gzip").text == "packed " * 1000
        with client.stream("GET", f"{WEB}/give?size=1600") as answer:
            assert b"".join(answer.iter_bytes()) == b"0123456789abcdef" * 100


def httpx_async():
    """httpx: `AsyncClient`."""
    import asyncio

    import httpx

    async def get():
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{WEB}/take")).json()

    assert asyncio.run(get())["method"] == "GET"


def boto3_objects():
    """boto3: S3: `put_object` and `get_object`, signed."""
    client = s3()
    client.put_object(Bucket="bucket", Key="take", Body=b"content")
    assert client.get_object(Bucket="bucket", Key="take")["Body"].read() == b"content"


def boto3_upload():
    """boto3: S3: `upload_fileobj` as it is configured by itself."""
    s3().upload_fileobj(io.BytesIO(b"content"), "bucket", "take")


def boto3_upload_without_threads():
    """boto3: S3: `upload_fileobj` with `TransferConfig(use_threads=False)`."""
    from boto3.s3.transfer import TransferConfig

    client = s3()
    client.upload_fileobj(io.BytesIO(b"uploaded"), "bucket", "take", Config=TransferConfig(use_threads=False))
    assert client.get_object(Bucket="bucket", Key="take")["Body"].read() == b"uploaded"


def s3():
    import boto3
    from botocore.config import Config

    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    return boto3.client("s3", endpoint_url=f"{WEB}/s3", region_name="eu-central-1", aws_access_key_id="key",
                        aws_secret_access_key="secret", config=config)


def sentry():
    """sentry-sdk: an exception, sent to the server."""
    import requests
    import sentry_sdk

    host = WEB.removeprefix("http://")
    sentry_sdk.init(dsn=f"http://key@{host}/1", default_integrations=True, traces_sample_rate=1.0)
    try:
        try:
            raise ValueError("for Sentry")
        except ValueError as error:
            assert sentry_sdk.capture_exception(error)
        sentry_sdk.flush(2)
    finally:
        sentry_sdk.get_client().close()
        sentry_sdk.init()
    assert requests.get(f"{WEB}/told", timeout=10).json()["envelopes"] >= 1, "nothing has arrived"


def pydantic():
    """pydantic: a model."""
    import pydantic

    class Item(pydantic.BaseModel):
        number: int

    assert Item(number="5").number == 5


def jsonschema():
    """jsonschema: a schema."""
    import jsonschema

    jsonschema.validate({"a": 1}, {"properties": {"a": {"type": "integer"}}})


def orjson():
    """orjson: load and dump."""
    import orjson

    assert orjson.loads(orjson.dumps({"a": 1})) == {"a": 1}


def numpy():
    """numpy: an array."""
    import numpy

    assert numpy.arange(5).sum() == 10


def pillow_told():
    """pillow: format, size and soundness of an image."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(PIXEL)))
    assert (image.format, image.size) == ("PNG", (1, 1))
    image.verify()


def pillow_made():
    """pillow: a thumbnail."""
    from PIL import Image

    Image.open(io.BytesIO(base64.b64decode(PIXEL))).thumbnail((1, 1))
    Image.new("RGB", (64, 64)).thumbnail((8, 8))


def mysqlclient():
    """mysqlclient: a statement."""
    import MySQLdb

    MySQLdb.connect(host="127.0.0.1", port=MYSQL_PORT, user="shop", password="secret")


def cryptography():
    """cryptography: Fernet."""
    from cryptography.fernet import Fernet

    fernet = Fernet(Fernet.generate_key())
    assert fernet.decrypt(fernet.encrypt(b"text")) == b"text"


def jwt_hs():
    """PyJWT: HS256: sign, verify, refuse what is expired or changed."""
    import datetime

    import jwt

    key = "a key of thirty-two bytes or more"
    now = datetime.datetime.now(datetime.timezone.utc)
    token = jwt.encode({"sub": "ann", "exp": now + datetime.timedelta(minutes=5)}, key, algorithm="HS256")
    assert jwt.decode(token, key, algorithms=["HS256"])["sub"] == "ann"
    expired = jwt.encode({"exp": now - datetime.timedelta(minutes=5)}, key, algorithm="HS256")
    for bad in (expired, token[:-4] + "AAAA"):
        try:
            jwt.decode(bad, key, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            continue
        raise AssertionError("taken")


def jwt_rs():
    """PyJWT: RS256."""
    import jwt

    jwt.encode({"sub": "ann"}, "key", algorithm="RS256")


def bcrypt():
    """bcrypt: a hash."""
    import bcrypt

    assert bcrypt.checkpw(b"horse", bcrypt.hashpw(b"horse", bcrypt.gensalt(4)))


def argon2():
    """argon2-cffi: a hash."""
    from argon2 import PasswordHasher

    assert PasswordHasher().verify(PasswordHasher().hash("horse"), "horse")


def lxml():
    """lxml: parsing HTML and XML."""
    from lxml import etree, html

    assert html.fromstring("<p>a<b>b</b>").xpath("//b")[0].text == "b"
    assert etree.fromstring("<a><b/></a>").find("b") is not None
