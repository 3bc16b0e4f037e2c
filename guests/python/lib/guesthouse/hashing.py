"""``hashlib.pbkdf2_hmac`` and ``hashlib.scrypt``, which Python for WebAssembly lacks: it has no OpenSSL.

The host does the work (``guesthouse:hashing`` in ``wit/``), at the speed that they have elsewhere. Arguments and errors are those of
CPython 3.14 (``Modules/_hashopenssl.c``). What the app's limits do not allow is a ``MemoryError`` or, where it would compute
for too long, a ``ValueError``.
"""

import hashlib
import operator

from componentize_py_types import Err
from wit_world.imports import passwords

from guesthouse import settings

INT_MAX = 2**31 - 1
#: The host's numbers have 32 bits.
LONG_MAX = 2**32 - 1


def install():
    """Puts both into ``hashlib``, and leaves alone what is there."""
    for function in (pbkdf2_hmac, scrypt):
        if not hasattr(hashlib, function.__name__):
            function.__module__ = "hashlib"
            setattr(hashlib, function.__name__, function)
        if function.__name__ not in hashlib.__all__:
            hashlib.__all__ += (function.__name__,)


def pbkdf2_hmac(hash_name, password, salt, iterations, dklen=None):
    """Password based key derivation function 2 (PKCS #5 v2.0) with HMAC as pseudorandom function."""
    if not isinstance(hash_name, str):
        raise TypeError(f"pbkdf2_hmac() argument 'hash_name' must be str, not {type(hash_name).__name__}")
    password, salt, iterations = _bytes(password), _bytes(salt), _integer(iterations)
    if iterations < 1:
        raise ValueError("iteration value must be greater than 0.")
    if iterations > INT_MAX:
        raise OverflowError("iteration value is too great.")
    if dklen is not None:
        dklen = _integer(dklen)
        if dklen < 1:
            raise ValueError("key length must be greater than 0.")
        if dklen > INT_MAX:
            raise OverflowError("key length is too great.")
    return _call(passwords.pbkdf2_hmac, hash_name, password, salt, iterations, dklen)


def scrypt(password, *, salt, n, r, p, maxmem=0, dklen=64):
    """scrypt password-based key derivation function."""
    password, salt = _bytes(password), _bytes(salt)
    n, r, p = _positive(n), _positive(r), _positive(p)
    maxmem, dklen = _integer(maxmem), _integer(dklen)
    if n < 2 or n & (n - 1):
        raise ValueError("n must be a power of 2.")
    if not 0 <= maxmem <= INT_MAX:
        raise ValueError(f"maxmem must be positive and smaller than {INT_MAX}")
    if not 1 <= dklen <= INT_MAX:
        raise ValueError(f"dklen must be greater than 0 and smaller than {INT_MAX}")
    return _call(passwords.scrypt, password, salt, n, r, p, maxmem, dklen)


def _call(function, *arguments):
    if settings._building:
        # A call of an import while the image is made is a trap.
        raise settings.NotServing("the host hashes for an app that serves, not while its component is built")
    try:
        return function(*arguments)
    except Err as error:
        kind = type(error.value)
        if kind is passwords.Error_UnknownHash:
            raise ValueError(f"unsupported hash type {arguments[0]}") from None
        if kind is passwords.Error_OverMaxmem:
            raise ValueError("memory limit exceeded: n, r and p take more than maxmem") from None
        text = error.value.value
        if kind is passwords.Error_OverMemory:
            raise MemoryError(text) from None
        raise ValueError(text) from None


def _bytes(value):
    try:
        view = memoryview(value)
    except TypeError:
        raise TypeError(f"a bytes-like object is required, not {type(value).__name__!r}") from None
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    return view.tobytes()


def _integer(value):
    value = operator.index(value)
    if not -LONG_MAX <= value <= LONG_MAX:
        raise OverflowError("Python int too large to convert to C long")
    return value


def _positive(value):
    value = _integer(value)
    if value < 0:
        raise ValueError("value must be positive")
    return value
