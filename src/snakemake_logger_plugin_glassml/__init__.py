"""What a run of Snakemake says on the terminal: `logger: glassml` in a profile.

One line a job, a progress line, and of a failure the last lines of its log. Lists of files are cut
to their first names: jobs of a campaign take and make thousands. Snakemake's own log in
`.snakemake/log/` has everything whole.
"""

import re
import sys
import time
from logging import ERROR, WARNING, LogRecord
from pathlib import Path
from typing import TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

__all__ = ["LogHandler", "shorten", "tail"]

#: Names of a list that are shown, characters of a line, lines of a message and of a log.
NAMES, WIDTH, LINES, LOG_LINES = 2, 300, 40, 15
#: A log may be of any size: of so many bytes are its last lines taken.
LOG_BYTES = 16384
RED, YELLOW, PLAIN = "\033[31m", "\033[33m", "\033[0m"
LIST = re.compile(r"(?:[^\s,;:]+, ){2,}[^\s,;:]+")
#: What is said shorter: of a command that failed, the FAILED line says which it was.
SHORTER = [
    (re.compile(r".*Command '.*' (returned|died)", re.DOTALL), r"the command \1"),
    (re.compile(r"^Job (\S+ .* SLURM jobid \d+) \(log: .*\)\.$"), r"job \1"),
]
#: Snakemake says in no other way that a job failed by making nothing.
NOTHING_MADE = re.compile(r"Job (\d+) +completed successfully, but")
#: Said before anything runs, and of no use to who runs a campaign.
CHATTER = (
    "Assuming unrestricted shared filesystem usage",
    "Building DAG of jobs",
    "Conda environments: ignored",
    "Singularity containers: ignored",
    "Select jobs to execute",
    "Using shell:",
    "Complete log(s):",
    "No wall time information given",
)
SILENT = {
    LogEvent.WORKFLOW_STARTED,
    LogEvent.JOB_STARTED,
    LogEvent.RESOURCES_INFO,
    LogEvent.RULEGRAPH,
    LogEvent.GROUP_INFO,
}


class LogHandler(LogHandlerBase):
    """Writes to the terminal, or in plain lines to a file."""

    def __post_init__(self) -> None:
        """Begin without a job."""
        self._stream: TextIO = sys.stdout if self.common_settings.stdout else sys.stderr
        self._terminal = self._stream.isatty()
        self._colours = self._terminal and not self.common_settings.nocolor
        self._bar: tqdm | None = None
        self._titles: dict[int, str] = {}
        self._began_s: dict[int, float] = {}
        self._failed: dict[int, str] = {}
        self._took = ""
        self._sayings = {
            LogEvent.JOB_INFO: self._begin,
            LogEvent.JOB_FINISHED: self._finish,
            LogEvent.JOB_ERROR: self._fail,
            LogEvent.PROGRESS: self._progress,
            LogEvent.RUN_INFO: self._plan,
        }

    @property
    def writes_to_stream(self) -> bool:
        """It replaces Snakemake's own output."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake writes its own file."""
        return False

    @property
    def has_filter(self) -> bool:
        """Snakemake's own filter holds: `--quiet` and its like."""
        return False

    @property
    def has_formatter(self) -> bool:
        """It needs none."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """It draws no graph."""
        return False

    def emit(self, record: LogRecord) -> None:
        """Say what happened."""
        try:
            event = getattr(record, "event", None)
            if event in self._sayings:
                self._sayings[event](record)
            elif event not in SILENT:
                self._say_message(record)
        except Exception:  # noqa: BLE001, as every handler of logging: a run outlives what is said of it
            self.handleError(record)

    def close(self) -> None:
        """Leave the terminal to others, and name what failed."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if self._failed:
            self._write(f"{len(self._failed)} failed:", RED)
            for title in list(self._failed.values())[:LINES]:
                self._write(f"  {title}", RED)
            self._failed = {}
        super().close()

    def _plan(self, record: LogRecord) -> None:
        self._write(record.msg)
        if self._terminal and self._bar is None and not self.common_settings.dryrun:
            self._bar = tqdm(
                total=vars(record)["stats"]["total"],
                file=self._stream,
                dynamic_ncols=True,
                bar_format="{n}/{total} steps |{bar}| {elapsed}{postfix}",
            )

    def _begin(self, record: LogRecord) -> None:
        job = vars(record)
        number = job["jobid"]
        title = job["rule_msg"] or " ".join(map(str, (job["wildcards"] or {}).values()))
        self._titles[number] = f"{shorten(title)} ({job['rule_name']}, job {number})".lstrip()
        self._began_s[number] = time.monotonic()
        self._failed.pop(number, None)
        reason = f": {shorten(job['reason'])}" if self.common_settings.dryrun else ""
        self._write(f"{_clock()}{self._titles[number]}{reason}")
        self._show_running()

    def _finish(self, record: LogRecord) -> None:
        number = vars(record)["job_id"]
        began_s = self._began_s.pop(number, None)
        took = "" if began_s is None else f" in {_duration(time.monotonic() - began_s)}"
        self._took = f"job {number} done{took}"

    def _fail(self, record: LogRecord) -> None:
        job = vars(record)
        number = job["jobid"]
        self._began_s.pop(number, None)
        title = self._titles.get(number, f"{job['rule_name']}, job {number}")
        self._failed[number] = f"{title}: {', '.join(job['log'][:1]) or 'no log'}"
        self._write(f"{_clock()}FAILED {title}", RED)
        for text in [job["rule_msg"], *(f"{key}: {text}" for key, text in job["aux"].items())]:
            if text:
                self._write(_indented(shorten(str(text))))
        for path in job["log"]:
            self._write(f"  {path}:")
            self._write(_indented("\n".join(tail(Path(path))), 4))
        self._show_running()

    def _progress(self, record: LogRecord) -> None:
        done, total = vars(record)["done"], vars(record)["total"]
        if not self._terminal:
            self._write(f"{_clock()}{done} of {total} steps done{self._failures()}; {self._took}")
        elif self._bar is not None:
            self._bar.total, self._bar.n = total, done
            self._show_running()

    def _show_running(self) -> None:
        """Say behind the bar how many jobs run: it changes when one begins, and when one ends."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"{len(self._began_s)} running{self._failures()}")

    def _failures(self) -> str:
        return f", {len(self._failed)} failed" if self._failed else ""

    def _say_message(self, record: LogRecord) -> None:
        text = str(record.msg or "").strip("\n")
        if not text or text.startswith(CHATTER):
            return
        if made := NOTHING_MADE.search(text):
            number = int(made.group(1))
            self._began_s.pop(number, None)
            self._failed[number] = f"{self._titles.get(number, number)}: outputs are missing"
        for pattern, short in SHORTER:
            text = pattern.sub(short, text)
        colour = {ERROR: RED, WARNING: YELLOW}.get(record.levelno, "")
        self._write(text if self.common_settings.verbose else shorten(text), colour)

    def _write(self, text: str, colour: str = "") -> None:
        if colour and self._colours:
            text = f"{colour}{text}{PLAIN}"
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            self._stream.write(f"{text}\n")
            self._stream.flush()


def shorten(text: str) -> str:
    """Cut lists of names to the first ones, long lines, and long texts.

    Parameters
    ----------
    text
        What is to be said, of any length.
    """
    lines = [_cut(LIST.sub(_first_names, line)) for line in text.splitlines()]
    if len(lines) > LINES:
        kept = LINES // 2
        left = len(lines) - 2 * kept
        lines = [*lines[:kept], f"… and {left:,} lines more", *lines[-kept:]]
    return "\n".join(lines)


def tail(path: Path) -> list[str]:
    """Give the last lines of a log, or say why there are none.

    Parameters
    ----------
    path
        The log; progress bars in it count as one line each.
    """
    try:
        with path.open("rb") as log:
            log.seek(0, 2)
            log.seek(max(log.tell() - LOG_BYTES, 0))
            text = log.read().decode("utf-8", errors="replace")
    except OSError as error:
        return [f"({error.strerror or error})"]
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    lines = [line for line in lines if line.strip()]
    return [_cut(line) for line in lines[-LOG_LINES:]] or ["(empty)"]


def _first_names(found: re.Match[str]) -> str:
    names = found.group().split(", ")
    left = len(names) - NAMES
    return ", ".join(names[:NAMES]) + f" and {left:,} more"


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def _indented(text: str, by: int = 2) -> str:
    return "\n".join(f"{' ' * by}{line}" for line in text.splitlines())


def _clock() -> str:
    return time.strftime("%H:%M:%S ")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
