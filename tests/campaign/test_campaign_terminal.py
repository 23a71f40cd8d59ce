"""What a run says on the terminal, by Snakemake itself."""

import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from snakemake_logger_plugin_glassml import LOG_BYTES, LOG_LINES, shorten, tail

ROOT = Path(__file__).parents[2]
SNAKEFILE = Path(__file__).with_name("terminal.smk")


def _command(folder, *arguments):
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE)),
        *("--directory", str(folder), "--workflow-profile", str(ROOT / "profiles" / "default")),
        *("--cores", "1", "--latency-wait", "0", *arguments),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("terminal")


@pytest.fixture(scope="module")
def said(folder):
    """What a run with two failures writes into a file."""
    done = subprocess.run(_command(folder), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr


def test_a_job_is_a_line_and_each_end_a_line_of_progress(said):
    for line in (r"Making parts \(parts, job \d+\)", r"Gathering parts \(gather, job \d+\)"):
        assert len(re.findall(rf"^[\d:]{{8}} {line}$", said, re.MULTILINE)) == 1
    assert re.search(r"^[\d:]{8} 1 of 5 steps done; job \d+ done in", said, re.MULTILINE)
    assert "2 of 5 steps done" in said
    assert len(said) < 4000


def test_a_failure_shows_the_end_of_its_log(said):
    block = said[said.index("FAILED Failing (fail, job ") :].splitlines()
    assert block[1] == "  logs/bad.log:"
    assert block[LOG_LINES + 1] == "    the reason"
    assert block[LOG_LINES] == "    line 5000"
    assert "the command returned non-zero exit status 3" in said
    assert "line 4000" not in said


def test_what_failed_stands_once_more_at_the_end(said):
    end = said[said.rindex("2 failed:") :]
    assert re.search(r"Failing \(fail, job \d+\): logs/bad.log", end)
    assert re.search(r"empty \(make_nothing, job \d+\): outputs are missing", end)


def test_names_of_thousands_of_files_are_only_in_the_file(said, folder):
    assert said.count("_of_a_long_name") == 0
    (log,) = (folder / ".snakemake" / "log").iterdir()
    assert log.read_text().count("_of_a_long_name") > 4000


def test_a_dry_run_says_why_and_how_many(tmp_path):
    command = _command(tmp_path, "--dry-run")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if "(parts, job" in line]
    assert re.search(r"Missing output files: parts/\w+, parts/\w+ and 1,998 more$", line)
    assert len(done.stdout) < 4000


def test_on_a_terminal_there_is_a_bar(folder, said):
    (folder / "gathered").unlink()
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (40, 100))
    process = subprocess.Popen(
        _command(folder, "gathered"), stdout=end, stderr=end, env=os.environ | {"TERM": "xterm"}
    )
    os.close(end)
    shown = b""
    try:
        while piece := os.read(terminal, 4096):
            shown += piece
    except OSError:  # so ends a terminal
        pass
    os.close(terminal)
    assert process.wait() == 0
    text = shown.decode()
    assert "Gathering parts (gather, job 0)" in text
    assert re.search(r"0/1 steps \|.*\| \d\d:\d\d, 1 running", text)
    assert re.search(r"1/1 steps \|.*\| \d\d:\d\d, 0 running", text)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("a, b", "a, b"),
        ("Missing: a, b, c; Updated: d, e", "Missing: a, b and 1 more; Updated: d, e"),
        ("x" * 5000, "x" * 299 + "…"),
    ],
)
def test_texts_are_cut(text, short):
    assert shorten(text) == short


def test_a_long_text_keeps_its_ends():
    lines = shorten("\n".join(map(str, range(1000)))).splitlines()
    assert lines[0] == "0"
    assert lines[-1] == "999"
    assert "… and 960 lines more" in lines


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", ["(empty)"]),
        (b"\xff\xfe no text\n", ["�� no text"]),
        (b"10 %\r50 %\r100 %\n\ndone\r\n", ["100 %", "done"]),
        (b"x" * 3 * LOG_BYTES + b"\nend\n", ["x" * 299 + "…", "end"]),
    ],
)
def test_the_end_of_a_log_of_any_kind(tmp_path, content, lines):
    (tmp_path / "log").write_bytes(content)
    assert tail(tmp_path / "log") == lines


def test_a_log_that_is_not_there_is_said(tmp_path):
    assert tail(tmp_path / "log") == ["(No such file or directory)"]
