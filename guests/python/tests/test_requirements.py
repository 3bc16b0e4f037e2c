"""What is said of requirements that are known not to work."""

import pathlib
import re
import tempfile
import unittest

from builder import requirements


class Requirements(unittest.TestCase):
    def site(self, *packages, requested=True):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        site = pathlib.Path(directory.name)
        for package in packages:
            folder = site / f"{package}.dist-info"
            folder.mkdir()
            if requested:
                (folder / "REQUESTED").touch()
        return site

    def warned(self, *packages, **options):
        return [re.search("`(.*?)`", warning["message"])[1] for warning in requirements.warnings(self.site(*packages, **options))]

    def test_what_does_not_work_is_named_with_what_to_use_instead(self):
        self.assertEqual(list(requirements.warnings(self.site("orjson-3.13.0", "django-6.1.3"))), [{
            "message": "the requirement `orjson` does not work in a guest: native code", "hint": "instead: `json`"}])

    def test_names_are_normalised(self):
        self.assertEqual(self.warned("argon2_cffi-25.1.0", "PyJWT-2.15.1"), ["pyjwt", "argon2-cffi"])

    def test_what_comes_along_or_is_not_needed_is_not_warned_of(self):
        self.assertEqual(self.warned("bcrypt-5.0.0", requested=False), [])
        self.assertEqual(self.warned("gunicorn-27.0.1"), [])

    def test_versions_and_companions_that_work(self):
        self.assertEqual(self.warned("pydantic-2.14.4", "jsonschema-4.26.0", "psycopg2_binary-2.9.13"),
                         ["jsonschema", "psycopg2-binary", "pydantic"])
        self.assertEqual(self.warned("pydantic-1.10.27", "jsonschema-4.17.3", "psycopg2_binary-2.9.13", "pg8000-1.31.6"), [])

    def test_modules_have_what_to_use_instead(self):
        self.assertEqual(requirements.instead(self.site("orjson-3.13.0", requested=False)), {"orjson": "`json`"})
        self.assertEqual(requirements.instead(None), {})

    def test_what_is_known_is_whole(self):
        for name, known in requirements.KNOWN.items():
            self.assertEqual(name, requirements.normalised(name))
            self.assertIn(known["works"], ("no", "in part", "not needed"))
            self.assertTrue(known["why"] and known["instead"])
            self.assertFalse(set(known) - {"works", "why", "instead", "since", "unless", "modules"}, name)
