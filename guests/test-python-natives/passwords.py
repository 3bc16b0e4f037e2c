"""Passwords, hashed by Django as in any project."""

import hashlib

from django.contrib.auth.hashers import check_password, make_password
from django.http import JsonResponse


def password(request):
    encoded = make_password("correct horse", hasher=request.GET["hasher"])
    return JsonResponse({
        "encoded": encoded,
        "right": check_password("correct horse", encoded),
        "wrong": check_password("battery staple", encoded),
    })


def errors(request):
    """What is raised, and which of the algorithms that every Python has are missing."""
    scrypt = {"salt": b"s", "r": 8, "p": 1}
    return JsonResponse({
        "unknown": raised(hashlib.pbkdf2_hmac, "nope", b"p", b"s", 1),
        "iterations": raised(hashlib.pbkdf2_hmac, "sha256", b"p", b"s", 0),
        "maxmem": raised(hashlib.scrypt, b"p", n=2**17, **scrypt),
        "memory": raised(hashlib.scrypt, b"p", n=2**17, maxmem=2**31 - 1, **scrypt),
        "guaranteed": sorted(name for name in hashlib.algorithms_guaranteed if raised(hashlib.new, name)),
    })


def raised(function, *arguments, **options):
    try:
        function(*arguments, **options)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
