"""Settings, and how they are laid over those of a Django project."""

import os
import pathlib
import types
import unittest
from unittest import mock

from guesthouse import overlay, settings

from tests import host


class Api(unittest.TestCase):
    def setUp(self):
        host.settings.values = {"A": 1, "B": {"C": [True, 1.5]}, "T": "text"}
        settings._building = False
        self.addCleanup(setattr, host.settings, "values", {})

    def test_typed(self):
        self.assertEqual((settings.get("A"), settings.get("T"), settings.get("B.C"), settings.get("B")),
                         (1, "text", [True, 1.5], {"C": [True, 1.5]}))
        self.assertIsNone(settings.get("B.X"))
        self.assertEqual(settings.get("X", "default"), "default")

    def test_tables(self):
        self.assertEqual(settings.as_dict("B"), {"C": [True, 1.5]})
        self.assertEqual(list(settings.as_dict()), ["A", "B", "T"])
        self.assertEqual(settings.as_dict("X"), {})
        with self.assertRaises(TypeError):
            settings.as_dict("A")
        self.assertEqual(settings.generation(), 7)

    def test_not_while_building(self):
        settings._building = True
        for call in (lambda: settings.get("A"), settings.as_dict, settings.generation):
            with self.assertRaises(settings.NotServing):
                call()


class Overlay(unittest.TestCase):
    def overlaid(self, values, **attributes):
        with mock.patch.dict(os.environ):
            os.environ.pop(overlay.VARIABLE, None)
            overlay.prepare({"DJANGO_SETTINGS_MODULE": "site.settings", **values})
            module = types.ModuleType("site.settings")
            vars(module).update(attributes)
            overlay.after_exec(module)
            self.assertEqual(os.environ[overlay.VARIABLE], "site.settings")
            return module

    def test_replaces_with_types(self):
        module = self.overlaid({"DEBUG": True, "N": 3, "NEW": 1.5, "lower": 1}, DEBUG=False, N="x")
        self.assertEqual((module.DEBUG, module.N, module.NEW), (True, 3, 1.5))
        self.assertFalse(hasattr(module, "lower") or hasattr(module, "DJANGO_SETTINGS_MODULE"))

    def test_merges_tables_only(self):
        base = {"default": {"ENGINE": "e", "NAME": "n"}}
        module = self.overlaid({"DATABASES": {"default": {"NAME": "m"}}, "LIST": [1]}, DATABASES=base, LIST=[2, 3])
        self.assertEqual(module.DATABASES, {"default": {"ENGINE": "e", "NAME": "m"}})
        self.assertEqual(module.LIST, [1])
        self.assertEqual(base["default"]["NAME"], "n")

    def test_keeps_kinds(self):
        module = self.overlaid({"T": [1], "S": ["a"], "P": "/x"}, T=(2,), S={"b"}, P=pathlib.PurePosixPath("/y"))
        self.assertEqual((module.T, module.S, module.P), ((1,), {"a"}, pathlib.PurePosixPath("/x")))

    def test_only_the_named_module(self):
        with mock.patch.dict(os.environ):
            overlay.prepare({"DJANGO_SETTINGS_MODULE": "site.settings", "A": 1})
            other = types.ModuleType("site.base")
            overlay.after_exec(other)
            self.assertFalse(hasattr(other, "A"))

    def test_projects_default_module_is_overlaid_too(self):
        with mock.patch.dict(os.environ):
            os.environ.pop(overlay.VARIABLE, None)
            overlay.prepare({"A": 1})
            os.environ.setdefault(overlay.VARIABLE, "own.settings")
            module = types.ModuleType("own.settings")
            overlay.after_exec(module)
            self.assertEqual(module.A, 1)
