"""Jobs for the tests of the sweep: importable, so that other processes can do them."""

import os
import signal
import time
from pathlib import Path


def square(x, log=None):
    note(log, x)
    return x * x


def fail_on_odd(x):
    if x % 2:
        raise ValueError(f"{x} is odd")
    return x


def die_first(x, log, deadly):
    """Kills its own process in mid-job, the first time that job `deadly` is begun."""
    note(log, x)
    if x == deadly and begun(log).count(x) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return x * x


def die_always(x):
    os.kill(os.getpid(), signal.SIGKILL)


def slowly(x, log):
    note(log, x)
    time.sleep(0.2)
    return -x


def no_json(x):
    return {x}


def note(log, x):
    """One short write in append mode, so that lines of several processes do not mix."""
    if log is not None:
        with open(log, "ab", buffering=0) as stream:
            stream.write(b"%d\n" % x)


def begun(log):
    return [int(line) for line in Path(log).read_text().split()] if Path(log).exists() else []
