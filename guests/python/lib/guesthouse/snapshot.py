"""The interface ``guesthouse:settings/snapshot``: builds what all instances of an app have in common.

The host calls ``initialize`` once for each generation and takes an image of the memory then, from which every instance
starts. There are no files then but the captured ones, and no sockets.
"""

import traceback

from componentize_py_types import Err

from guesthouse import bytecode, files, frameworks, heap, instance, renewal, secrets, wsgi

#: How much of a traceback the operator's log is given.
LINES_MAX = 30


class Snapshot:
    """The exported interface; componentize-py makes one object of it when the component is made."""

    def initialize(self):
        secrets.begin_image()
        try:
            with files.captured_only():
                renewal.remember()
                frameworks.warm(instance.application())
                bytecode.run_in(frameworks.rehearse)
            if secrets.too_early is not None:
                raise secrets.too_early
        except BaseException as error:
            raise Err(describe(error)) from None
        finally:
            wsgi.flush()
        instance.snapshot_taken()
        heap.tidy()


def describe(error):
    """The end of the traceback, from the project's first frame on."""
    text = traceback.format_exception(type(error), error, wsgi.their_frames(error.__traceback__))
    lines = "".join(text).rstrip().splitlines()
    return "\n".join(lines[-LINES_MAX:])
