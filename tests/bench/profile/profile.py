#!/usr/bin/env python3
"""Where the CPU time of a request goes: tests/bench/profile/profile.py [--seconds N] [CASE...]

Serves the smallest apps or the Django site of the benchmark by the release build, asks with 16 connections (one for
`django-fresh`), and groups perf's samples of the house: user code by crate, guest code, and the kernel by what was asked of
it. Prints Markdown.
It needs perf and wrk (`apt-get install linux-perf wrk`) and the release build (`cargo build --release`).
"""

import argparse
import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
HELLO = 'source = {{ rust = "{root}/tests/bench/guests", package = "hello{more}" }}\nroutes = ["profile.test"]\ninstances = {{ {instances} }}\n'
DJANGO = """source = {{ python = "{root}/guests/django-legacy", wsgi = "legacy.wsgi:application", requirements = "requirements.txt" }}
routes = ["profile.test"]
instances = {{ {instances} }}
[apps.app.settings]
DJANGO_SETTINGS_MODULE = "legacy.settings"
ALLOWED_HOSTS = ["profile.test"]
DEBUG = false
"""
CASES = {
    "hello-fresh": (HELLO, "", 'isolation = "request"', 16),
    "hello-reused": (HELLO, "", 'isolation = "reuse"', 16),
    "hello-p3-reused": (HELLO, "-p3", 'isolation = "reuse"', 16),
    "django-fresh": (DJANGO, "", 'isolation = "request", snapshot = true', 1),
    "django-reused": (DJANGO, "", 'isolation = "reuse"', 16),
}
# The first that matches the name of a function of the binary.
CRATES = [
    ("allocator", r"^(_?mi_|malloc|free|calloc|realloc|__rust|__rdl|mimalloc)"),
    ("wasmtime", r"wasmtime|cranelift|wasm_|pulley|fiber"),
    ("hyper and http", r"hyper|httparse|^<?http|h2::"),
    ("tokio", r"tokio|mio::|async_task"),
    ("the house", r"guesthouse"),
]


def crate(symbol, library):
    # Compiled guests are files in a folder of that name.
    if not re.search(r"/guesthouse( \(deleted\))?$", library):
        if "[vdso]" in library:
            return "clock"
        if re.search(r"libc|ld-linux", library):
            return "libc (copies, clears)"
        return "guest code"
    for name, pattern in CRATES:
        if re.search(pattern, symbol):
            return name
    return "other Rust (std, bytes, ...)"


def kernel(chain):
    """What of the kernel a stack of its functions is: the outermost that tells."""
    for symbol in reversed(chain):
        if "page_fault" in symbol:
            return "kernel: page faults"
        call = re.match(r"__(?:x64|arm64|se)_sys_(\w+)", symbol)
        if call:
            name = call.group(1)
            name = {"sendto": "send", "writev": "send", "write": "send", "recvfrom": "receive", "read": "receive"}.get(name, name)
            return f"kernel: {name}"
    return "kernel: other (sending, interrupts, scheduling)"


def samples(perf_data):
    script = subprocess.run(["perf", "script", "-i", perf_data, "-F", "ip,sym,dso"], capture_output=True, text=True).stdout
    for block in script.split("\n\n"):
        frames = []
        for line in block.splitlines():
            frame = re.match(r"\s+[0-9a-f]+ (.*) \(([^()]*(?:\([^()]*\))?[^()]*)\)$", line)
            if frame:
                frames.append(frame.groups())
        if frames:
            yield frames


def group(perf_data):
    groups, functions = collections.Counter(), collections.Counter()
    for frames in samples(perf_data):
        chain = [symbol for symbol, library in frames if "kernel" in library or library.startswith("[k") or library == "[guest.kernel.kallsyms]"]
        symbol, library = frames[0]
        name = kernel(chain) if "kernel" in library else crate(symbol, library)
        groups[name] += 1
        functions[name, re.sub(r"\+0x[0-9a-f]+$", "", symbol)] += 1
    return groups, functions


def profile(case, options, folder):
    seconds = options.seconds
    template, more, instances, clients = CASES[case]
    manifest = folder / f"{case}.toml"
    manifest.write_text('[listen]\nhttp = "127.0.0.1:0"\nadmin = "off"\n[apps.app]\n' + template.format(root=ROOT, more=more, instances=instances))
    binary = os.environ.get("GUESTHOUSE_BINARY", ROOT / "target/release/guesthouse")
    environment = {**os.environ, "GUESTHOUSE_LOG": "warn"}
    environment.pop("RUST_BACKTRACE", None)
    subprocess.run([binary, "build", "-m", manifest], check=True, stderr=subprocess.DEVNULL, env=environment)
    house = subprocess.Popen([binary, "serve", "-m", manifest], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)
    try:
        url = next(line.split()[-1] for line in house.stderr if "listening on" in line)
        load = lambda time: subprocess.run(
            ["wrk", "-t1", f"-c{clients}", f"-d{time}s", "-H", "Host: profile.test", url], capture_output=True, text=True, check=True).stdout
        load(2)
        ticks = lambda: sum(map(int, pathlib.Path(f"/proc/{house.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
        data = folder / f"{case}.perf"
        begun = ticks()
        counted = re.search(r"(\d+) requests in", load(seconds))
        each = (ticks() - begun) / os.sysconf("SC_CLK_TCK") / int(counted.group(1))
        record = subprocess.Popen(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-g", "-p", str(house.pid), "-o", data, "--", "sleep", str(seconds)],
            stderr=subprocess.DEVNULL)
        load(seconds + 1)
        record.wait()
    finally:
        house.terminate()
        house.wait()
    groups, functions = group(data)
    total = sum(groups.values())
    print(f"\n**{case}**, {clients} connection{'s' * (clients > 1)}: {each * 1e6:,.0f} µs of CPU a request ({total:,} samples)\n")
    print("| where | share | µs |\n|---|---|---|")
    for name, count in groups.most_common():
        if count / total >= 0.01:
            print(f"| {name} | {count / total:.0%} | {count / total * each * 1e6:,.1f} |")
    if options.functions:
        print("\n| function | of | share |\n|---|---|---|")
    for (name, symbol), count in functions.most_common(options.functions):
        print(f"| `{symbol[:100]}` | {name} | {count / total:.1%} |")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="and the N functions that take the most")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for case in options.cases or CASES:
            profile(case, options, pathlib.Path(folder))


main()
