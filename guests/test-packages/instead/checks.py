"""What docs/packages.md tells to use instead of a package."""


def pydantic():
    """pydantic: 1.10: a model, JSON, refusal."""
    import pydantic

    class Item(pydantic.BaseModel):
        number: int

    assert Item(number="5").json() == '{"number": 5}'
    try:
        Item(number="x")
    except pydantic.ValidationError as error:
        assert error.errors()[0]["loc"] == ("number",)
    else:
        raise AssertionError("taken")


def jsonschema():
    """jsonschema: 4.17: a schema with references, refusal."""
    import jsonschema

    schema = {"$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}
    jsonschema.validate({"a": 1}, schema)
    try:
        jsonschema.validate({"a": "x"}, schema)
    except jsonschema.ValidationError as error:
        assert list(error.path) == ["a"]
    else:
        raise AssertionError("taken")


def jose():
    """python-jose: RS256 and ES256: sign and verify."""
    import ecdsa
    import rsa
    from jose import jwt

    public, private = rsa.newkeys(1024)
    curve = ecdsa.SigningKey.generate(curve=ecdsa.NIST256p)
    keys = {"RS256": (private.save_pkcs1().decode(), public.save_pkcs1().decode()),
            "ES256": (curve.to_pem().decode(), curve.verifying_key.to_pem().decode())}
    for algorithm, (private, public) in keys.items():
        token = jwt.encode({"sub": "ann"}, private, algorithm=algorithm)
        assert jwt.decode(token, public, algorithms=[algorithm])["sub"] == "ann"


def hashes():
    """hashlib: scrypt and PBKDF2, by the host."""
    import hashlib

    for derived in (hashlib.scrypt(b"horse", salt=b"salt", n=16384, r=8, p=5), hashlib.pbkdf2_hmac("sha256", b"horse", b"salt", 600_000)):
        assert len(derived) >= 32


def etree():
    """xml.etree: XML."""
    import xml.etree.ElementTree as etree

    assert etree.fromstring("<a><b c='1'/></a>").find("b[@c='1']") is not None
