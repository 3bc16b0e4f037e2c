"""Lays the bytecode together that requests write to.

CPython 3.14 keeps counters and the history of branches within the bytecode (PEP 659), so that running a function writes to
the pages where its code lies. Between them is the code of functions that hardly ever run. Copies of what does run, made
one after another, lie side by side: a few pages for an instance to copy instead of a few hundred.
"""

import gc
import sys
from types import CodeType, FunctionType

import _immortal

from guesthouse import archive, heap

#: Modules whose functions run in every request, where a rehearsal cannot show it: between the host and the application.
BRIDGE = ("guesthouse.http_p2", "guesthouse.http_p3", "guesthouse.instance", "guesthouse.renewal", "guesthouse.wsgi",
          "wit_world", "componentize_py", "weakref")


def run_in(rehearse):
    """Calls ``rehearse`` a few times, and copies the code that it runs, or that the project's own requests will run."""
    hot = _observe(rehearse)
    # What was made for the build's image, too.
    gc.unfreeze()
    functions = [found for found in gc.get_objects() if type(found) is FunctionType]
    hot.update({id(function.__code__): function.__code__ for function in functions if _is_near(function)})
    heap.fill_holes()
    copies = {}
    for function in functions:
        if id(function.__code__) in hot:
            _immortal.recode(function, _copy(function.__code__, copies))
    rehearse()


def _observe(rehearse):
    """The code that runs, by its address: comparing code objects compares all that is in them."""
    seen = {}

    def look(frame, event, argument):
        if event == "call":
            seen[id(frame.f_code)] = frame.f_code

    sys.setprofile(look)
    try:
        rehearse()
    finally:
        sys.setprofile(None)
    return seen


def _is_near(function):
    return (function.__code__.co_filename.startswith(archive.APP + "/")
            or str(function.__globals__.get("__name__")).startswith(BRIDGE))


def _copy(code, copies):
    copy = copies.get(id(code))
    if copy is None:
        constants = tuple(_copy(one, copies) if type(one) is CodeType else one for one in code.co_consts)
        # The original is kept beside: its address must not be another's meanwhile.
        copy = copies[id(code)] = code.replace(co_consts=constants), code
    return copy[0]
