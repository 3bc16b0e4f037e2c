"""Lists the objects of the image, for ``builder/immortal.py`` to make them immortal in the finished component.

An instance shares the image's memory until it writes to it, and Python writes to an object whenever it looks at it: it
counts references. Immortal objects (PEP 683) are not counted. Nothing in Python makes an object immortal from within,
so the builder sets their counts in the component's file; here it is told where they are.
"""

import array
import gc
import sys
from types import CodeType

LIST = "objects.bin"

#: What the reference count of an immortal object is in this Python (Include/refcount.h, 32 bits); None where unknown.
IMMORTAL = 5 << 28 if sys.version_info[:2] == (3, 14) and sys.maxsize == (1 << 31) - 1 else None

_BATCH = 1 << 14


def write_list(path):
    """Writes pairs of 32-bit addresses: an object's and its type's. Objects may be listed many times."""
    with open(path, "wb") as file:
        pairs = array.array("I")
        for tracked in gc.get_objects():
            _add(pairs, tracked)
            for found in gc.get_referents(tracked):
                # What the collector tracks has its own turn.
                if not gc.is_tracked(found):
                    _add(pairs, found)
            if len(pairs) >= _BATCH:
                pairs.tofile(file)
                del pairs[:]
        pairs.tofile(file)


def _add(pairs, found):
    pairs.append(id(found))
    pairs.append(id(type(found)))
    if type(found) is CodeType:
        for constant in found.co_consts:
            _add(pairs, constant)
