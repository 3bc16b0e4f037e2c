"""Secrets, and how they come into mappings and the settings of a Django project, with an image and without."""

import copy
import os
import pprint
import sys
import types
import unittest
from unittest import mock

from componentize_py_types import Err
from guesthouse import overlay, secrets, settings, snapshot

from tests import host
from tests.test_snapshot import Restored


class Given(unittest.TestCase):
    def setUp(self):
        host.secrets.values = {"KEY": "planted", "DATABASES.default.PASSWORD": "word", "DATABASES.default.USER": "me"}
        host.secrets.revealed = 0
        self.addCleanup(setattr, host.secrets, "values", {})
        for name, value in (("_taking", False), ("too_early", None), ("_placeholders", []), ("_practising", False)):
            patch = mock.patch.object(secrets, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        patch = mock.patch.object(settings, "_building", False)
        patch.start()
        self.addCleanup(patch.stop)


class Api(Given):
    def test_get(self):
        self.assertEqual(secrets.get("KEY"), "planted")
        self.assertIsInstance(secrets.get("KEY"), str)
        self.assertEqual(secrets.get("NONE", 7), 7)
        with self.assertRaisesRegex(LookupError, "names no secret 'NONE'.*\\[apps.NAME.secrets\\]"):
            secrets.get("NONE")
        self.assertIn("KEY", secrets.names())

    def test_shows_itself_nowhere(self):
        key = secrets.get("KEY")
        for shown in (repr(key), f"{key!r}", pprint.pformat({"key": [key]}), "%r" % key, repr(secrets.Placeholder("KEY"))):
            self.assertNotIn("planted", shown)
            self.assertIn("****", shown)

    def test_not_while_building(self):
        settings._building = True
        for call in (lambda: secrets.get("KEY"), secrets.names, lambda: secrets.fill({})):
            with self.assertRaises(settings.NotServing):
                call()

    def test_fill(self):
        config = {"OTHER": 1}
        secrets.fill(config)
        self.assertEqual(config, {"OTHER": 1, "KEY": "planted"})
        secrets.fill(config, "DATABASES.default.USER")
        self.assertEqual(config["DATABASES.default.USER"], "me")
        with self.assertRaises(LookupError):
            secrets.fill(config, "NONE")


class Image(Given):
    def test_nothing_is_revealed_until_it_is_an_instance(self):
        secrets.begin_image()
        config = {}
        secrets.fill(config)
        kept, replaced = config["KEY"], {}
        secrets.fill(replaced)
        replaced["KEY"] = "the project's own"
        self.assertTrue(kept)
        copied = copy.deepcopy(kept)
        self.assertEqual(host.secrets.revealed, 0)
        self.assertIsNone(secrets.too_early)
        secrets.put_in_place()
        self.assertIs(type(config["KEY"]), secrets.Secret)
        self.assertEqual(config, {"KEY": "planted"})
        self.assertEqual(replaced, {"KEY": "the project's own"})
        # Who kept a placeholder has a text all the same.
        for one in (kept, copied):
            self.assertEqual((str(one), one.encode(), f"{one}!", one + "!", "!" + one, len(one), one == "planted", "ant" in one),
                             ("planted", b"planted", "planted!", "planted!", "!planted", 7, True, True))

    def test_who_reveals_one_is_told_and_remembered(self):
        secrets.begin_image()
        placeholder = secrets.value("KEY")
        for early in (lambda: secrets.get("KEY"), lambda: secrets.get("KEY", None), lambda: str(placeholder),
                      lambda: placeholder.encode(), lambda: placeholder == "x", lambda: len(placeholder)):
            secrets.too_early = None
            with self.assertRaisesRegex(secrets.TooEarly, "'KEY' was asked for while the image"):
                early()
            self.assertIsInstance(secrets.too_early, secrets.TooEarly)
        self.assertIsNone(secrets.get("NONE", None))
        self.assertEqual(host.secrets.revealed, 0)

    def test_practice_has_made_up_ones(self):
        secrets.begin_image()
        placeholder = secrets.value("KEY")
        with secrets.practice():
            self.assertEqual(placeholder.encode(), b"practice")
        with self.assertRaises(secrets.TooEarly):
            str(placeholder)
        self.assertEqual(host.secrets.revealed, 0)


class Django(Given):
    def run_module(self, **attributes):
        patch = mock.patch.dict(os.environ)
        patch.start()
        self.addCleanup(patch.stop)
        overlay.prepare({"DJANGO_SETTINGS_MODULE": "site.settings", "DATABASES": {"default": {"NAME": "n"}}},
                        [*secrets.names(), "lower"])
        module = types.ModuleType("site.settings")
        vars(module).update(attributes)
        overlay.after_exec(module)
        return module

    def test_replaces_and_merges(self):
        base = {"default": {"ENGINE": "e", "PASSWORD": "old"}}
        module = self.run_module(KEY="old", DATABASES=base)
        self.assertEqual(module.KEY, "planted")
        self.assertEqual(module.DATABASES, {"default": {"ENGINE": "e", "NAME": "n", "PASSWORD": "word", "USER": "me"}})
        self.assertEqual(base, {"default": {"ENGINE": "e", "PASSWORD": "old"}})
        self.assertFalse(hasattr(module, "lower"))

    def test_placeholders_in_an_image(self):
        secrets.begin_image()
        module = self.run_module(KEY="old")
        wrapped = types.SimpleNamespace(KEY=module.KEY, DATABASES=module.DATABASES, configured=True)
        self.assertIsInstance(module.DATABASES["default"]["PASSWORD"], secrets.Placeholder)
        self.assertEqual(host.secrets.revealed, 0)
        with mock.patch.dict(sys.modules, {"django.conf": types.SimpleNamespace(settings=wrapped)}):
            secrets.put_in_place()
            overlay.put_secrets_in_place()
        for place in (module, wrapped):
            self.assertIs(type(place.KEY), secrets.Secret)
            self.assertEqual(place.DATABASES, {"default": {"NAME": "n", "PASSWORD": "word", "USER": "me"}})


class Initialize(Restored):
    def test_a_secret_that_was_caught_is_told_all_the_same(self):
        host.secrets.values = {"KEY": "planted"}
        self.addCleanup(setattr, host.secrets, "values", {})

        class Project:
            @property
            def app(self):
                try:
                    secrets.get("KEY")
                except Exception:
                    return lambda environ, start_response: None

        sys.modules["project"] = Project()
        with self.assertRaises(Err) as raised:
            snapshot.Snapshot().initialize()
        self.assertIn("TooEarly: the secret 'KEY' was asked for", raised.exception.value)
