"""Runs a command at a terminal of its own: terminal.py JSON. An independent client of `guesthouse exec`.

The JSON has `command`, and `dialogue`: what is awaited on the screen, and what is typed then (null: Ctrl-C). Prints what was on
the screen as JSON, with the exit status and whether the terminal shows what is typed afterwards.
"""

import json
import os
import pty
import select
import sys
import termios
import time

PATIENCE = 300

told = json.loads(sys.argv[1])
child, terminal = pty.fork()
if child == 0:
    os.execv(told["command"][0], told["command"])

screen = b""
echoed = []


def read_until(awaited):
    global screen
    start, deadline = len(screen), time.monotonic() + PATIENCE
    while awaited is None or awaited.encode() not in screen[start:]:
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain for {awaited!r}; the screen shows {screen.decode(errors='replace')}")
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:
            data = b""
        if not data:
            if awaited is not None:
                sys.exit(f"ended before {awaited!r}; the screen shows {screen.decode(errors='replace')}")
            return
        screen += data


for awaited, typed in told["dialogue"]:
    read_until(awaited)
    echoed.append(bool(termios.tcgetattr(terminal)[3] & termios.ECHO))
    os.write(terminal, b"\x03" if typed is None else typed.encode() + b"\n")
read_until(None)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps({"screen": screen.decode(errors="replace"), "status": status, "echoed": echoed}))
