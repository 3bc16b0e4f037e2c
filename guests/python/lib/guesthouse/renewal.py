"""What an instance that starts from an image renews before its first request.

All instances of an app begin with the same memory. What the standard library drew from the host once, and keeps, would be
the same in all of them: random numbers, the names of temporary files, what makes an UUID unique, and the environment.
``secrets``, ``os.urandom`` and ``random.SystemRandom``, on which session and CSRF keys stand, keep nothing.

The seed of ``hash()`` cannot be renewed: every dict and set of the image is laid out by it.
"""

import logging
import os
import random
import tempfile
import time
import uuid

from wit_world.imports import environment

#: The environment as the host gave it when the image was taken.
_taken_with = {}


def remember():
    """Called before the project is loaded for an image."""
    _taken_with.clear()
    _taken_with.update(environment.get_environment())


def renew():
    _renew_environment()
    random.seed()
    # A generator of its own, seeded once for each process.
    tempfile._name_sequence = None
    # A random number that stands for the network card, and what keeps UUIDs made in one tick apart.
    uuid._node = None
    for name in ("_last_timestamp", "_last_timestamp_v6", "_last_timestamp_v7"):
        if hasattr(uuid, name):
            setattr(uuid, name, None)
    if hasattr(uuid, "_last_counter_v7"):
        uuid._last_counter_v7 = 0
    # Records say how long after this they were made.
    logging._startTime = time.time_ns()


def _renew_environment():
    """Brings in what is different now. What the project itself has set since stays, as if it had been set just now."""
    now = dict(environment.get_environment())
    for name in _taken_with.keys() - now.keys():
        os.environ.pop(name, None)
    for name, value in now.items():
        if _taken_with.get(name) != value:
            os.environ[name] = value
    if now.get("TZ") != _taken_with.get("TZ") and hasattr(time, "tzset"):
        time.tzset()
