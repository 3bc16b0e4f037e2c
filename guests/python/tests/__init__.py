"""Unit tests of the parts that run without a guest: `python -m unittest` in `guests/python`.

The host's interfaces are played by `tests.host`; what only a guest can show is tested through real components.
"""

import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

from tests import host  # noqa: E402

host.install()
