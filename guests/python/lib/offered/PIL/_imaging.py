"""In the place of Pillow's native code: as much of it as Pillow wants in order to be imported.

What Pillow does in Python then works: an image's format and size are read and its structure is verified, which is all that
Django's ``ImageField`` wants. What touches pixels fails.
"""

from PIL._version import __version__ as PILLOW_VERSION  # noqa: F401

TEXT = ("Pillow's native code cannot run in WebAssembly: images are identified, measured and verified, but their pixels cannot "
        "be read, made or changed")


def __getattr__(name):
    # Pillow asks for codecs and features by name, and knows what to do without.
    raise AttributeError(f"there is no `{name}`: {TEXT}", name=name)


def _pixels(*arguments):
    # Some plugins make an image while they are imported; Pillow does without those that raise this.
    raise ImportError(TEXT)


def _nothing(*arguments):
    """There is no memory of pixels to be arranged or cleared."""


fill = new = outline = _pixels
clear_cache = set_alignment = set_block_size = set_blocks_max = _nothing
