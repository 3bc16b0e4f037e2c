"""Arranges the heap before an image of it is taken: the build's, and that of an app that was initialised.

An instance shares the memory of its image, page by page, until it writes to it.
"""

import gc
import sys

#: Chunks of malloc that are filled, the large first: what remains of them is filled by the next.
CHUNKS = (*(1 << power for power in range(15, 9, -1)), *range(512, 16, -16))

_plugs = []


def tidy():
    gc.collect()
    # What is in the image is never garbage: looking at it would only make its memory the instance's own.
    gc.freeze()
    _plugs.extend(_fill_holes())


def _fill_holes():
    """Fills the small holes that imports and compilation have left in the heap.

    Python for WASI takes every object straight from malloc, which would give a new instance the holes first: each a page
    of the image to be copied, for a few bytes. With the holes filled, what an instance makes lies together. (It also
    clears them: freed memory is part of the image, too.)
    """
    plugs = []
    overhead = sys.getsizeof(b"") + 4
    for chunk in CHUNKS:
        previous = run = 0
        # So many in a row are cut from one large piece, and that may stay.
        while run < max(16, 8192 // chunk):
            plug = bytes(chunk - overhead)
            plugs.append(plug)
            run = run + 1 if id(plug) - previous == chunk else 0
            previous = id(plug)
    return plugs
