"""Runs Django's own part of a request a few times before an image is taken, so that instances find it run in.

CPython rewrites its bytecode while it runs (PEP 659): after a few rounds each instruction has the form that suits it. That
is done once here instead of in every instance, where it takes time and makes the pages of the code the instance's own.

The request is made up, and nothing of the project meets it: of the middleware only Django's own classes, as objects of
their own; a view, a form and templates of this module; no signals, no database, no cache, no session that is stored.
"""

import contextlib
import io

from guesthouse import wsgi

ROUNDS = 12

TEMPLATES = {
    "base.html": """{% load i18n static %}<!doctype html>
{% get_current_language as LANGUAGE_CODE %}<html lang="{{ LANGUAGE_CODE }}"><title>{% block title %}{% endblock %}</title>
<nav>{% for name, value in pairs %}<a href="{{ name|lower }}"{% if forloop.first %} class="a"{% endif %}>{{ value }}</a>
{% empty %}-{% endfor %}</nav>{% include "part.html" with label=title %}{% block content %}{% endblock %}
{% if user.name and not none or number > 3 %}<b>{% else %}<i>{% endif %}</html>""",
    "part.html": "{# a part #}<h1>{{ label|default:'none' }}</h1>{% comment %}nothing{% endcomment %}",
    "page.html": """{% extends "base.html" %}{% load i18n %}
{% block title %}{{ title }} - {{ block.super }}{% endblock %}
{% block content %}<a href="{% url 'item' number %}">{% translate "Home" %}</a>
{% blocktranslate with a=title count counter=number %}{{ a }}: {{ counter }}{% plural %}{{ a }}s: {{ counter }}
{% endblocktranslate %}{% with total=number|add:2 %}{{ total }}, {{ rate|floatformat:2 }}{% endwith %}
{% now "Y" %} {{ moment|date:"j F Y H:i" }} {{ text|linebreaks }}{{ text|truncatewords:3|upper }}{{ items|length }}
{{ items.0 }} {{ table.key }} {{ text|safe }} {{ none|yesno }} {{ items|join:", "|escape }}
{% for item in page %}{{ item }}{% endfor %}{{ page.has_next }}{{ page.paginator.num_pages }}
<form method="post">{% csrf_token %}{{ form }}{% for field in form %}{{ field.label_tag }}{{ field }}{{ field.errors }}
{% endfor %}</form>{% endblock %}""",
}


def rehearse():
    from django.urls import set_urlconf
    from django.utils import translation

    urls, handler, cleanup = _stage()
    try:
        for _ in range(ROUNDS):
            for path in ("/", "/item/7/", "/data.json", "/hand/in?a=1&b=%20c"):
                _perform(handler, urls, path)
    finally:
        set_urlconf(None)
        translation.deactivate()
        cleanup()


def _perform(handler, urls, path):
    environ = wsgi.make_environ("GET", _scheme(), _host(), path, HEADERS, io.BytesIO())
    exchange = wsgi.Exchange(environ, lambda item: None)

    def app(environ, start_response):
        from django.core.handlers.wsgi import WSGIRequest

        request = WSGIRequest(environ)
        request.urlconf = urls
        response = handler.get_response(request)
        headers = [*response.items(), *(("Set-Cookie", morsel.OutputString()) for morsel in response.cookies.values())]
        start_response(f"{response.status_code} {response.reason_phrase}", headers)
        return response

    for _ in exchange.run(app):
        pass


HEADERS = [
    ("host", b"localhost"), ("user-agent", b"Mozilla/5.0 (X11; Linux x86_64)"), ("accept", b"text/html,*/*;q=0.8"),
    ("accept-language", b"en-US,en;q=0.5"), ("accept-encoding", b"gzip, deflate"), ("connection", b"keep-alive"),
    ("cookie", b"a=b; c=d"), ("x-forwarded-for", b"127.0.0.1"), ("x-forwarded-proto", b"http"), ("x-real-ip", b"127.0.0.1"),
]


def _scheme():
    from django.conf import settings

    return "https" if settings.SECURE_SSL_REDIRECT else "http"


def _host():
    """One that the project allows."""
    from django.conf import settings

    for allowed in settings.ALLOWED_HOSTS:
        if "*" not in allowed:
            return allowed.removeprefix(".")
    return "localhost"


def _stage():
    """A URLconf, a handler with Django's own middleware, and what clears them away."""
    import datetime

    from django import forms
    from django.core.handlers.base import BaseHandler
    from django.core.paginator import Paginator
    from django.forms.renderers import DjangoTemplates, get_default_renderer
    from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
    from django.template import Context, Engine, RequestContext
    from django.urls import path, reverse
    from django.urls.resolvers import _get_cached_resolver
    from django.utils import timezone
    from django.views.generic import View

    processors = [f"django.template.context_processors.{name}" for name in ("request", "csrf", "i18n", "tz")]
    engine = Engine(loaders=[("django.template.loaders.cached.Loader",
                              [("django.template.loaders.locmem.Loader", TEMPLATES)])],
                    context_processors=processors,
                    libraries={name: f"django.templatetags.{name}" for name in ("i18n", "static")})

    renderer = get_default_renderer()

    class Form(forms.Form):
        default_renderer = renderer if type(renderer).__module__.startswith("django.") else DjangoTemplates
        name = forms.CharField(max_length=40)
        number = forms.IntegerField(min_value=1, max_value=9, initial=1)
        kind = forms.ChoiceField(choices=[("a", "A"), ("b", "B")])
        agreed = forms.BooleanField(required=False)

    class Page(View):
        def get(self, request, number=3):
            request.GET.get("page")
            request.COOKIES.get("a")
            request.build_absolute_uri()
            checked = Form({"name": "x", "number": "12", "kind": "a"})
            checked.is_valid()
            values = {
                "title": "A page", "number": number, "rate": 1.5, "items": ["a", "b", "c"], "table": {"key": "value"},
                "text": "some <b>words</b> and more", "none": None, "moment": timezone.now(), "form": Form(),
                "pairs": [("A", 1), ("B", "two")], "page": Paginator(range(9), 3).get_page("2"),
            }
            text = engine.get_template("page.html").render(RequestContext(request, values))
            engine.get_template("part.html").render(Context(values))
            return HttpResponse(text)

    class Data(View):
        def get(self, request):
            return JsonResponse({"a": [1, 2.5, None, True], "now": timezone.now(), "day": datetime.date(2000, 1, 1)})

    def hand(request, name):
        return HttpResponseRedirect(reverse("item", args=[1]))

    class Urls:
        """Stands for a module."""

        urlpatterns = [path("", Page.as_view()), path("item/<int:number>/", Page.as_view(), name="item"),
                       path("data.json", Data.as_view()), path("hand/<slug:name>", hand)]

    handler = BaseHandler()
    handler._view_middleware, handler._template_response_middleware, handler._exception_middleware = [], [], []
    handler._middleware_chain = handler._get_response
    for middleware in reversed(list(_own_middleware(handler))):
        handler._middleware_chain = middleware(handler._middleware_chain)
        if hasattr(handler._middleware_chain, "process_view"):
            handler._view_middleware.insert(0, handler._middleware_chain.process_view)
    return Urls, handler, _get_cached_resolver.cache_clear


def _own_middleware(handler):
    """Django's own classes among the project's middleware, those that store nothing."""
    from django.conf import settings
    from django.utils.module_loading import import_string

    left_out = ("django.middleware.cache.", "django.contrib.sites.", "django.contrib.redirects.",
                "django.contrib.flatpages.", "django.contrib.auth.")
    for name in settings.MIDDLEWARE:
        if name.startswith("django.") and not name.startswith(left_out):
            with contextlib.suppress(Exception):
                middleware = import_string(name)
                middleware(handler._get_response)
                yield middleware
