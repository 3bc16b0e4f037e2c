"""Runs componentize-py on a bundle and reads back what the guest reported.

Everything happens in a temporary directory: componentize-py mounts the directories it is given writable, and no project
should find files in it that it did not make.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from builder.messages import Problem

VERSION = "0.25.1"

#: What it says where it copies more out of the guest than Wasmtime lets it.
TOO_LARGE = "fuel allocated for hostcalls has been exhausted"

HERE = pathlib.Path(__file__).resolve().parent.parent
LIB = HERE / "lib"
WORLDS = {"0.2": ("guesthouse:python/python-p2", "entry_p2"), "0.3": ("guesthouse:python/python", "entry_p3")}


def run(bundle, wit, wasi, out):
    """Builds the component and moves it to ``out`` in one step. Returns the report; a failed build has errors in it."""
    world, entry = WORLDS[wasi]
    with tempfile.TemporaryDirectory(prefix="guesthouse-python-") as name:
        work = pathlib.Path(name)
        image = work / "image"
        shutil.copytree(LIB, image, ignore=shutil.ignore_patterns("__pycache__"))
        bundle.write(image / "bundle.bin")
        component = work / "out.wasm"
        finished = call(work, ["-d", wit, "-d", HERE / "wit", "-w", world,
                               "componentize", "-p", image, "-o", component, entry])
        report = read_report(image / "report.json")
        report["warnings"] = bundle.warnings + report["warnings"]
        if finished.returncode == 0 and not report["errors"]:
            publish(component, out)
        elif not report["errors"]:
            report["errors"].append(failure(finished))
        return report


def call(work, arguments):
    venv = work / "venv"
    # componentize-py adds the site-packages of an active environment by itself; here only the bundle counts.
    (venv / "lib" / "site-packages").mkdir(parents=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "RUST"))}
    environment["VIRTUAL_ENV"] = str(venv)
    tool = pathlib.Path(sys.executable).with_name("componentize-py")
    if not tool.exists():
        raise Problem(f"componentize-py is not installed beside {sys.executable}",
                      f"{sys.executable} -m pip install componentize-py=={VERSION}")
    return subprocess.run([tool, *arguments], cwd=work, env=environment, capture_output=True, text=True, errors="replace")


def read_report(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"errors": [], "warnings": [], "imported": []}


def failure(finished):
    if TOO_LARGE in finished.stderr:
        return {"message": "the app takes more than 128 MiB of memory before it begins, which componentize-py cannot take over",
                "hint": "files and libraries count that the app has with it: leave out requirements that it does not import, and "
                        "data, whose directory can be granted instead"}
    return {"message": "componentize-py failed:\n" + explain(finished)}


def explain(finished):
    text = "\n".join(part.strip() for part in (finished.stdout, finished.stderr) if part.strip())
    text = text.partition("Stack backtrace:")[0].rstrip()
    return "\n".join("  " + line for line in text.splitlines()[-60:]) or f"  exit status {finished.returncode}"


def publish(component, out):
    """Beside the target first, then renamed: a running host may have the old file mapped."""
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        shutil.copyfile(component, beside)
        os.replace(beside, out)
    finally:
        beside.unlink(missing_ok=True)
