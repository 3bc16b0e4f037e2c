from flask import Flask, jsonify, render_template

try:
    from guesthouse import secrets, settings
except ImportError:
    # Elsewhere, such as with `flask run`.
    secrets = settings = None

app = Flask(__name__)
app.config.from_mapping(SITE_TITLE="My site")
if settings is not None:
    app.config.from_mapping(settings.as_dict())
    secrets.fill(app.config)


@app.get("/")
def home():
    return render_template("home.html", title=app.config["SITE_TITLE"])


@app.get("/hello/<name>")
def hello(name):
    return jsonify(hello=name)
