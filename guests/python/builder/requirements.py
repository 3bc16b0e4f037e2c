"""What is known of requirements that do not work in a guest, or only in part: `packages.json`, of which docs/packages.md tells,
too.

For each package, by its normalised name: `works` ("no", "in part", "not needed"), `why`, what to use `instead`; the version
`since` which that holds, another package `unless` which is there, and the `modules` that are imported in vain.
"""

import json
import pathlib
import re

KNOWN = json.loads(pathlib.Path(__file__).with_name("packages.json").read_text(encoding="utf-8"))


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(site):
    """Of what pip has installed: names and versions, and whether a requirements file names it."""
    found = {}
    for folder in sorted(site.glob("*.dist-info")) if site is not None else ():
        name, _, version = folder.name.removesuffix(".dist-info").partition("-")
        found[normalised(name)] = version, (folder / "REQUESTED").exists()
    return found


def wanting(site):
    """The known ones that are there and cannot do all, by name; each with whether it was asked for by name."""
    there = installed(site)
    for name, (version, requested) in there.items():
        known = KNOWN.get(name)
        if known is None or known.get("unless") in there or _major(version) < _major(known.get("since", "0")):
            continue
        yield name, known, requested


def _major(version):
    """The numbers that a version begins with."""
    return [int(number) for number in re.match(r"\d+(\.\d+)*|", version)[0].split(".") if number]


def warnings(site):
    """Of the requirements that were asked for by name, as ``messages`` describes them."""
    for name, known, requested in wanting(site):
        if requested and known["works"] != "not needed":
            verb = "does not work" if known["works"] == "no" else "works in part"
            yield {"message": f"the requirement `{name}` {verb} in a guest: {known['why']}", "hint": f"instead: {known['instead']}"}


def instead(site):
    """By module, what to use in the place of one that cannot be imported."""
    return {module: known["instead"] for _, known, _ in wanting(site) for module in known.get("modules", ())}
