"""How a process ends whose command is over: at once where much is loaded, and never unheard."""

import os
import signal
import subprocess
import sys

import pytest

from glassml.cli import main

PROGRAM = """
import atexit, sys, types
from glassml.campaign.process import live_for

class Heard:
    def __del__(self):
        print("taken apart")

kept = Heard()
if {loaded}:
    sys.modules["torch"] = types.ModuleType("torch")

def command():
    atexit.register(print, "put away")
    print("done")
    return {code}

sys.exit(live_for(command))
"""


def run(loaded=True, code="3", **options):
    command = [sys.executable, "-c", PROGRAM.format(loaded=loaded, code=code)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    # what is printed waits in a buffer
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(command, text=True, check=False, env=environment, **options)


@pytest.mark.parametrize(("loaded", "more"), [(True, []), (False, ["taken apart"])])
def test_what_is_loaded_is_taken_apart_only_where_that_is_little(loaded, more):
    done = run(loaded)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.splitlines() == ["done", "put away", *more]


def test_an_exception_ends_it_as_ever():
    done = run(code="1 / 0")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert done.stdout.splitlines() == ["done", "put away", "taken apart"]


def test_what_nobody_reads_any_more_is_told():
    reader, writer = os.pipe()
    os.close(reader)
    done = run(stdout=writer)
    os.close(writer)
    assert done.returncode == 120
    assert "BrokenPipeError" in done.stderr


def test_a_reader_that_has_read_enough_is_no_mistake():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "glassml", "campaign", "keys", "--markdown"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_another_pipe_that_is_broken_is_told(monkeypatch):
    def broken(_):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("glassml.campaign.cli._print_keys", broken)
    with pytest.raises(BrokenPipeError):
        main(["campaign", "keys"])
