"""What a web app does with each package: those of Django and Flask, of databases and of texts.

Each function begins with the package and what is tried of it, and raises where that does not work. Imports stand within, so
that one that fails says so for its package alone.
"""

import io
import os

MYSQL_PORT = int(os.environ.get("MYSQL_PORT", "9"))
REDIS = f"redis://127.0.0.1:{os.environ.get('REDIS_PORT', '9')}"
POSTGRES_PORT = int(os.environ.get("POSTGRES_PORT", "9"))
GRANTED = "/data"


def wsgi_get(application, path, environ=None):
    """Asks a WSGI application: the status and the body."""
    from wsgiref.util import setup_testing_defaults

    environ = {"PATH_INFO": path, **(environ or {})}
    setup_testing_defaults(environ)
    status = []
    body = b"".join(application(environ, lambda *arguments: status.append(arguments[0])))
    return status[0], body


def django_client():
    """A client of the project's Django site, with its tables made."""
    from django.core.management import call_command
    from django.test import Client

    call_command("migrate", run_syncdb=True, verbosity=0)
    return Client(REMOTE_ADDR="127.0.0.1")


def books():
    from shelf.models import Book

    Book.objects.all().delete()
    return Book.objects.bulk_create([Book(title="Emma", pages=474), Book(title="Candide", pages=129)])


def django():
    """Django: models over SQLite, a view with a template, signing."""
    from django.core import signing
    from django.db.models import Sum

    client = django_client()
    from shelf.models import Book
    books()
    assert Book.objects.aggregate(Sum("pages"))["pages__sum"] == 603
    answer = client.get("/")
    assert answer.status_code == 200 and b"<li>Emma: 474</li>" in answer.content, answer.content
    assert signing.loads(signing.dumps({"a": 1})) == {"a": 1}


def django_async():
    """Django: an asynchronous view that asks the database."""
    client = django_client()
    books()
    answer = client.get("/counted")
    assert answer.json() == {"books": 2, "first": "Candide"}, answer.content


def rest():
    """djangorestframework: a view set: list, create, refuse."""
    client = django_client()
    books()
    assert client.get("/api/books/").json()[0] == {"title": "Candide", "pages": 129}
    assert client.post("/api/books/", {"title": "Ulysses", "pages": 730}, content_type="application/json").status_code == 201
    refused = client.post("/api/books/", {"title": "", "pages": "many"}, content_type="application/json")
    assert refused.status_code == 400 and set(refused.json()) == {"title", "pages"}, refused.content
    assert b"<form" in client.get("/api/books/", HTTP_ACCEPT="text/html").content


def filtered():
    """django-filter: a filtered list."""
    client = django_client()
    books()
    assert [book["title"] for book in client.get("/api/books/?pages__gte=200").json()] == ["Emma"]
    assert client.get("/api/books/?pages__gte=x").status_code == 400


def cors():
    """django-cors-headers: a preflight request."""
    answer = django_client().options("/api/books/", HTTP_ORIGIN="https://shop.example.com",
                                     HTTP_ACCESS_CONTROL_REQUEST_METHOD="GET")
    assert answer.headers["access-control-allow-origin"] == "https://shop.example.com", answer.headers


def extensions():
    """django-extensions: a model with times, `show_urls`."""
    from django.core.management import call_command

    django_client()
    assert books()[0].created is not None
    told = io.StringIO()
    call_command("show_urls", stdout=told, no_color=True)
    assert "/api/books/" in told.getvalue(), told.getvalue()


def toolbar():
    """django-debug-toolbar: the toolbar in a page, with its SQL."""
    client = django_client()
    books()
    page = client.get("/").content.decode()
    assert 'id="djDebug"' in page and "SQLPanel" in page, page


def allauth():
    """django-allauth: signing up, logging out and in."""
    client = django_client()
    from django.contrib.auth.models import User
    User.objects.all().delete()
    word = "correct-horse-battery"
    entered = {"username": "ann", "email": "ann@example.com", "password1": word, "password2": word}
    answer = client.post("/accounts/signup/", entered)
    assert answer.status_code == 302, answer.content.decode()
    assert client.post("/accounts/logout/").status_code == 302
    assert client.post("/accounts/login/", {"login": "ann", "password": "donkey"}).status_code == 200
    assert client.post("/accounts/login/", {"login": "ann", "password": word}).status_code == 302
    assert client.session["_auth_user_id"]


def environ():
    """django-environ: typed values of the environment."""
    import environ

    os.environ.update(A_NUMBER="5", A_DATABASE="postgres://u:p@db.example.com:5432/shop")
    env = environ.Env()
    assert env.int("A_NUMBER") == 5 and env.db("A_DATABASE")["NAME"] == "shop"


def environ_file():
    """django-environ: reading `.env` beside the settings."""
    import environ

    environ.Env.read_env("/app/.env")
    assert os.environ.get("OF_THE_FILE") == "yes", "there is no /app/.env"


def flask():
    """Flask: routes, a template, JSON, a session."""
    from flask import Flask, jsonify, render_template_string, session

    app = Flask("shelf")
    app.secret_key = "of a test"

    @app.get("/hello/<name>")
    def hello(name):
        session["name"] = name
        return render_template_string("<p>{{ name }}</p>", name=name)

    @app.get("/again")
    def again():
        return jsonify(name=session["name"])

    client = app.test_client()
    assert client.get("/hello/<b>").text == "<p>&lt;b&gt;</p>"
    assert client.get("/again").json == {"name": "<b>"}


def flask_async():
    """Flask: an asynchronous view."""
    import asyncio

    from flask import Flask

    app = Flask("shelf")

    @app.get("/slow")
    async def slow():
        await asyncio.gather(asyncio.sleep(0.01), asyncio.sleep(0.02))
        return await asyncio.to_thread(str.upper, "waited")

    assert app.test_client().get("/slow").text == "WAITED"


def flask_sqlalchemy():
    """Flask-SQLAlchemy: models over SQLite."""
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    app = Flask("shelf")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db = SQLAlchemy(app)

    class Note(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        text = db.Column(db.String(80))

    with app.app_context():
        db.create_all()
        db.session.add(Note(text="a note"))
        db.session.commit()
        assert db.session.execute(db.select(Note.text)).scalar_one() == "a note"


def flask_login():
    """Flask-Login: logging in, a view for those who have."""
    from flask import Flask
    from flask_login import LoginManager, UserMixin, login_required, login_user

    app = Flask("shelf")
    app.secret_key = "of a test"
    manager = LoginManager(app)

    class User(UserMixin):
        id = "ann"

    manager.user_loader(lambda name: User())
    app.add_url_rule("/enter", view_func=lambda: str(login_user(User())), endpoint="enter")
    app.add_url_rule("/inside", view_func=login_required(lambda: "inside"), endpoint="inside")
    client = app.test_client()
    assert client.get("/inside").status_code == 401
    assert client.get("/enter").text == "True" and client.get("/inside").text == "inside"


def flask_wtf():
    """Flask-WTF: a form that is refused and taken, with its token."""
    from flask import Flask
    from flask_wtf import FlaskForm
    from wtforms import IntegerField
    from wtforms.validators import NumberRange

    class Order(FlaskForm):
        number = IntegerField(validators=[NumberRange(1, 9)])

    app = Flask("shelf")
    app.secret_key = "of a test"

    @app.route("/", methods=["GET", "POST"])
    def order():
        form = Order()
        return "taken" if form.validate_on_submit() else {"token": form.csrf_token.current_token, "errors": form.errors}

    client = app.test_client()
    token = client.get("/").json["token"]
    assert "csrf_token" in client.post("/", data={"number": 5}).json["errors"]
    assert "number" in client.post("/", data={"number": 50, "csrf_token": token}).json["errors"]
    assert client.post("/", data={"number": 5, "csrf_token": token}).text == "taken"


def jinja2():
    """Jinja2: a template that inherits, with a loop and a filter."""
    from jinja2 import DictLoader, Environment

    env = Environment(loader=DictLoader({
        "base": "<ul>{% block items %}{% endblock %}</ul>",
        "page": "{% extends 'base' %}{% block items %}{% for i in items %}<li>{{ i|upper }}{% endfor %}{% endblock %}",
    }), autoescape=True)
    assert env.get_template("page").render(items=["a", "<"]) == "<ul><li>A<li>&lt;</ul>"


def werkzeug():
    """Werkzeug: routing, a form with a file, password hashes."""
    from werkzeug.routing import Map, Rule
    from werkzeug.security import check_password_hash, generate_password_hash
    from werkzeug.test import Client
    from werkzeug.wrappers import Request, Response

    rules = Map([Rule("/book/<int:number>", endpoint="book")]).bind("shop.example.com")
    assert rules.match("/book/5") == ("book", {"number": 5})

    @Request.application
    def take(request):
        return Response(f"{request.form['a']} {request.files['f'].read().decode()}")

    assert Client(take).post(data={"a": "1", "f": (io.BytesIO(b"content"), "f.txt")}).text == "1 content"
    for method in ("scrypt", "pbkdf2"):
        assert check_password_hash(generate_password_hash("horse", method), "horse")


def whitenoise():
    """whitenoise: a static file, with its headers, beside an application."""
    from whitenoise import WhiteNoise

    def application(environ, start_response):
        start_response("404 Not Found", [])
        return [b"none"]

    served = WhiteNoise(application, root="/app/shelf", prefix="files/")
    status, body = wsgi_get(served, "/files/templates/page.html")
    assert status == "200 OK" and b"{% for book in books %}" in body, status
    assert wsgi_get(served, "/other")[0] == "404 Not Found"


def marshmallow():
    """marshmallow: a schema: load, dump, refuse."""
    from marshmallow import Schema, ValidationError, fields

    class Item(Schema):
        number = fields.Integer(required=True)
        day = fields.Date()

    loaded = Item().load({"number": "5", "day": "2026-02-03"})
    assert loaded["number"] == 5 and Item().dump(loaded) == {"number": 5, "day": "2026-02-03"}
    try:
        Item().load({"number": "x"})
    except ValidationError as error:
        assert "number" in error.messages
    else:
        raise AssertionError("taken")


def yaml():
    """PyYAML: load and dump."""
    import yaml

    data = {"a": [1, 2.5, None, True], "b": {"text": "zwölf\n"}}
    assert yaml.safe_load(yaml.safe_dump(data, allow_unicode=True)) == data


def dateutil():
    """python-dateutil: parsing, repetitions, time zones."""
    import datetime

    from dateutil import parser, relativedelta, rrule, tz

    assert parser.parse("3rd of February 2026 14:05") == datetime.datetime(2026, 2, 3, 14, 5)
    assert datetime.date(2026, 1, 31) + relativedelta.relativedelta(months=1) == datetime.date(2026, 2, 28)
    assert len(list(rrule.rrule(rrule.WEEKLY, count=3, dtstart=datetime.datetime(2026, 2, 3)))) == 3
    there = datetime.datetime(2026, 7, 1, 12, tzinfo=tz.gettz("Europe/Berlin"))
    assert there.utcoffset() == datetime.timedelta(hours=2)


def dotenv():
    """python-dotenv: parsing."""
    import dotenv

    assert dotenv.dotenv_values(stream=io.StringIO("A=1\nB='two words' # why\n")) == {"A": "1", "B": "two words"}


def dotenv_file():
    """python-dotenv: `load_dotenv()` of `.env` in the project."""
    import dotenv

    assert dotenv.load_dotenv("/app/.env"), "there is no /app/.env"


def sqlalchemy():
    """SQLAlchemy: models and a join, over SQLite."""
    from sqlalchemy import ForeignKey, create_engine, func, select
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

    class Base(DeclarativeBase):
        pass

    class Author(Base):
        __tablename__ = "author"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        works: Mapped[list["Work"]] = relationship()

    class Work(Base):
        __tablename__ = "work"
        id: Mapped[int] = mapped_column(primary_key=True)
        author: Mapped[int] = mapped_column(ForeignKey("author.id"))

    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Author(name="Austen", works=[Work(), Work()]))
        session.commit()
        counted = select(Author.name, func.count(Work.id)).join(Author.works).group_by(Author.name)
        assert session.execute(counted).one() == ("Austen", 2)


def sqlalchemy_postgres():
    """SQLAlchemy: PostgreSQL, as `postgresql+pg8000`."""
    from sqlalchemy import create_engine, text

    engine = create_engine(f"postgresql+pg8000://shop:secret@127.0.0.1:{POSTGRES_PORT}/postgres")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT :a + 1"), {"a": 4}).scalar() == 5


def alembic():
    """alembic: a migration up and down, in a granted folder."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, inspect

    config = Config(f"{GRANTED}/alembic.ini")
    config.set_main_option("script_location", f"{GRANTED}/migrations")
    config.set_main_option("sqlalchemy.url", f"sqlite:///{GRANTED}/alembic.sqlite3")
    command.init(config, f"{GRANTED}/migrations")
    revision = command.revision(config, "first")
    with open(revision.path, encoding="utf-8") as file:
        source = file.read()
    change = 'op.create_table("note", sa.Column("id", sa.Integer))'
    with open(revision.path, "w", encoding="utf-8") as file:
        file.write(source.replace("    pass", f"    {change}", 1).replace("    pass", '    op.drop_table("note")', 1))
    command.upgrade(config, "head")
    engine = create_engine(f"sqlite:///{GRANTED}/alembic.sqlite3")
    assert inspect(engine).has_table("note")
    command.downgrade(config, "base")
    assert not inspect(engine).has_table("note")


def postgres():
    """pg8000: statements, a transaction undone."""
    import importlib.metadata

    import pg8000.dbapi
    import psycopg2

    assert importlib.metadata.version("pg8000")
    port = POSTGRES_PORT
    for connect, options in ((pg8000.dbapi.connect, {"database": "postgres"}), (psycopg2.connect, {"dbname": "postgres"})):
        connection = connect(host="127.0.0.1", port=port, user="shop", password="secret", **options)
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE undone (a integer)")
        cursor.execute("INSERT INTO undone VALUES (%s)", (5,))
        cursor.execute("SELECT a FROM undone")
        assert cursor.fetchone()[0] == 5
        connection.rollback()
        connection.close()


def psycopg2_django():
    """psycopg2-binary: Django's PostgreSQL backend."""
    from django.db import connections

    with connections["postgres"].cursor() as cursor:
        cursor.execute("SELECT %s", ["text"])
        assert cursor.fetchone() == ("text",)


def psycopg():
    """psycopg: a statement."""
    import psycopg

    psycopg.connect(f"host=127.0.0.1 port={POSTGRES_PORT} user=shop password=secret dbname=postgres")


def pymysql_native():
    """PyMySQL: a statement, logged in by `mysql_native_password`."""
    pymysql_by("native")


def pymysql_sha2():
    """PyMySQL: the same, logged in by `caching_sha2_password`."""
    pymysql_by("sha2")


def pymysql_by(user):
    import pymysql

    with pymysql.connect(host="127.0.0.1", port=MYSQL_PORT, user=user, password="secret", connect_timeout=10) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", ("it's",))
            assert cursor.fetchone() == ("SELECT 'it\\'s'",), cursor.fetchone()


def redis():
    """redis: values that expire, a pipeline, a script."""
    import redis

    client = redis.Redis.from_url(REDIS, decode_responses=True)
    client.set("a", "b", ex=60)
    assert client.get("a") == "b" and 0 < client.ttl("a") <= 60
    with client.pipeline() as pipeline:
        assert pipeline.incr("n").incr("n").execute()[-1] == 2
    assert client.register_script("return redis.call('GET', KEYS[1])")(keys=["a"]) == "b"


def celery_send():
    """celery: tasks that are called, and sent by way of Redis."""
    import redis

    app, add = celery()
    assert add.apply(args=(2, 3)).get() == 5
    add.delay(2, 3)
    assert redis.Redis.from_url(REDIS).llen("celery") == 1


def celery_worker():
    """celery: a worker."""
    app, add = celery()
    app.worker_main(["worker"])


def celery():
    from celery import Celery

    app = Celery("shelf", broker=REDIS)

    @app.task
    def add(a, b):
        return a + b

    return app, add


def beautifulsoup():
    """beautifulsoup4: parsing HTML by `html.parser`, CSS selectors."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup("<ul><li class=a>one<li>two</ul>", "html.parser")
    assert soup.select_one("li.a").find(string=True) == "one" and len(soup.find_all("li")) == 2


def markdown():
    """Markdown: a text with extensions."""
    import markdown

    made = markdown.markdown("# A\n\n| a | b |\n|---|---|\n| 1 | *2* |\n", extensions=["extra", "toc"])
    assert '<h1 id="a">A</h1>' in made and "<td><em>2</em></td>" in made, made


def bleach():
    """bleach: cleaning and linking HTML."""
    import bleach

    assert bleach.clean("<b>a</b><script>b</script>", tags={"b"}) == "<b>a</b>&lt;script&gt;b&lt;/script&gt;"
    assert 'href="http://example.com"' in bleach.linkify("see example.com")
