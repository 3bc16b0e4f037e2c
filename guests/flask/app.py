"""A notepad whose notes live in the visitor's session cookie.

Runs anywhere: `flask run` uses the defaults below, Guesthouse the settings of its manifest.
"""

import uuid
from importlib.metadata import version

from flask import Flask, abort, flash, jsonify, redirect, render_template, request, session, url_for

try:
    from guesthouse import secrets, settings
except ImportError:
    secrets = settings = None

# Tells one process from another, to see which of them answered.
PROCESS = uuid.uuid4().hex

app = Flask(__name__)
app.config.from_mapping(SECRET_KEY="only for development", SITE_TITLE="Notepad", NOTES_MAX=8, ACCENT="#3455a4")
if settings is not None:
    app.config.from_mapping(settings.as_dict())
    # SECRET_KEY for one, where the manifest has it as a secret.
    secrets.fill(app.config)


@app.get("/")
def home():
    session["visits"] = session.get("visits", 0) + 1
    return render_template("home.html", notes=session.get("notes", []))


@app.post("/notes")
def add():
    text = request.form.get("text", "").strip()
    if not text:
        abort(400, "A note needs a text.")
    session["notes"] = [text, *session.get("notes", [])][:app.config["NOTES_MAX"]]
    flash("Noted.")
    return redirect(url_for("home"))


@app.get("/notes/<int:number>")
def note(number):
    notes = session.get("notes", [])
    if not 1 <= number <= len(notes):
        abort(404, "There is no such note.")
    return jsonify(number=number, text=notes[number - 1])


@app.get("/info.json")
def info():
    """Facts for programs."""
    return jsonify(
        flask=version("flask"),
        site_title=app.config["SITE_TITLE"],
        notes_max=app.config["NOTES_MAX"],
        generation=settings.generation() if settings else None,
        visits=session.get("visits", 0),
        process=PROCESS,
        script_name=request.root_path,
        remote_addr=request.remote_addr,
        url=url_for("info", _external=True),
    )


@app.errorhandler(400)
@app.errorhandler(404)
def refused(error):
    return render_template("error.html", error=error), error.code
