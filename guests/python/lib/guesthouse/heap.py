"""Arranges the heap before an image of it is taken: the build's, and that of an app that was initialised.

An instance shares the memory of its image, page by page, until it writes to it. Python writes to an object whenever it
looks at it: it counts references. So what is in the image is made immortal (PEP 683): it is not counted, and never freed.
"""

import gc
import sys
from types import CodeType

import _immortal

#: Chunks of malloc that are filled, the large first: what remains of them is filled by the next.
CHUNKS = (*(1 << power for power in range(15, 9, -1)), *range(512, 16, -16))

#: How many objects are asked at a time for what they refer to.
BATCH = 1024

_plugs = []


def tidy():
    gc.collect()
    _immortalise(gc.get_objects())
    # What is in the image is never garbage: looking at it would only make its memory the instance's own.
    gc.freeze()
    fill_holes()


def _immortalise(objects):
    """Makes the objects immortal, with all that they refer to."""
    pending = _immortal.mark(objects)
    del objects
    while pending:
        batch = pending[-BATCH:]
        del pending[-BATCH:]
        found = gc.get_referents(*batch)
        for one in batch:
            # What the collector does not tell. Not by `isinstance`, which asks lazy objects what they stand for.
            if type(one) is CodeType:
                found += (one.co_consts, one.co_names, one.co_varnames, one.co_filename, one.co_name, one.co_qualname,
                          one.co_linetable, one.co_exceptiontable)
            elif issubclass(type(one), type):
                found.extend(type.__getattribute__(one, "__dict__").values())
        pending += _immortal.mark(found)


def fill_holes():
    """Fills the small holes that imports and compilation have left in the heap.

    Python for WASI takes every object straight from malloc, which would give a new instance the holes first: each a page
    of the image to be copied, for a few bytes. With the holes filled, what an instance makes lies together. (It also
    clears them: freed memory is part of the image, too.)
    """
    overhead = sys.getsizeof(b"") + 4
    for chunk in CHUNKS:
        previous = run = 0
        # So many in a row are cut from one large piece, and that may stay.
        while run < max(16, 8192 // chunk):
            plug = bytes(chunk - overhead)
            _plugs.append(plug)
            run = run + 1 if id(plug) - previous == chunk else 0
            previous = id(plug)
