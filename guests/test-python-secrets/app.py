"""Tells its secrets."""

import os
import pprint

from django.conf import settings
from django.core import signing
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.http import HttpResponse, JsonResponse
from django.urls import path

from guesthouse import secrets

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
LOADED_AT = os.urandom(8).hex()

# What the project kept from the moment when it was loaded.
databases = settings.DATABASES
config = {}
secrets.fill(config)

match os.environ.get("EARLY"):
    case "get":
        secrets.get("CUSTOM_VALUE")
    case "django":
        settings.SECRET_KEY.encode()
    case "caught":
        try:
            signing.Signer().sign("text")
        except Exception:
            pass


def told(request):
    texts = {
        "SECRET_KEY": settings.SECRET_KEY,
        "CUSTOM_VALUE": settings.CUSTOM_VALUE,
        "PASSWORD": settings.DATABASES["default"]["PASSWORD"],
        "kept": databases["default"]["PASSWORD"],
        "connection": connections["default"].settings_dict["PASSWORD"],
        "config": config["CUSTOM_VALUE"],
        "asked": secrets.get("CUSTOM_VALUE"),
    }
    return JsonResponse({
        "texts": texts,
        "are_texts": all(isinstance(text, str) for text in texts.values()),
        "database": settings.DATABASES["default"]["NAME"],
        "loaded_at": LOADED_AT,
        "others": secrets.get("OF_ANOTHER_APP", None),
    })


def signed(request):
    return HttpResponse(signing.Signer(salt="test").sign(request.GET["text"]))


def shown(request):
    values = [settings.SECRET_KEY, settings.DATABASES, config, secrets.get("CUSTOM_VALUE")]
    return HttpResponse(f"{values} {values!r} {pprint.pformat(values, width=10)} {settings.CUSTOM_VALUE!r}")


def fail(request):
    key, password = secrets.get("CUSTOM_VALUE"), settings.DATABASES
    raise LookupError("as it was told")


def end(request):
    key = secrets.get("CUSTOM_VALUE")
    os._exit(len(key))


urlpatterns = [path("told", told), path("signed", signed), path("shown", shown), path("raise", fail), path("end", end)]

application = get_wsgi_application()
