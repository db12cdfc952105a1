"""What the programs in Python share: checks as TAP, and the built server's demo on a free port."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request

checks, failures = 0, 0


def check(what, passed, detail=None):
    global checks, failures
    checks += 1
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {checks} - {what}", flush=True)
    if not passed and detail is not None:
        print(f"# {json.dumps(detail, default=str)}", flush=True)


def same(what, actual, expected):
    check(what, actual == expected, {"actual": actual, "expected": expected})


def finish():
    print(f"1..{checks}")
    sys.exit(failures > 0)


@contextlib.contextmanager
def demo():
    """The address of a demo with a data directory of its own, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="countersign-client-") as folder:
        command = [os.environ["COUNTERSIGN"], "demo", "--listen", "127.0.0.1:0", "--json", "--data-dir", f"{folder}/data"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            yield json.loads(server.stdout.readline())["url"]
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


def playground_session(url):
    """What the demo's playground opens with: people with their tokens, and a tab for each step."""
    with urllib.request.urlopen(f"{url}/playground/session.json") as answer:
        return json.load(answer)
