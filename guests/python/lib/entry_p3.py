"""What componentize-py imports to make the image of a component for WASI 0.3."""

import os
import sys

sys.dont_write_bytecode = True

from guesthouse import image  # noqa: E402

image.begin(os.path.dirname(__file__))

from guesthouse.http_p3 import Handler  # noqa: E402, F401
from guesthouse.command import Run  # noqa: E402, F401
from guesthouse.snapshot import Snapshot  # noqa: E402, F401

image.finish()
