"""Time and peak memory of all programs on all structures, one after the other, as CSV and a plot.

    python run.py FOLDER --peers PEERS/bin/python --output results [--timeout 60] [--threads 2]

A program that runs out of time on a structure is not tried on larger ones of its kind.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

TASKS = ("gr", "sq", "primitive", "king", "king-shell", "guttman", "shape")
STRUCTURES = (
    ("glass648", "glass5k", "glass41k", "glass82k", "glass1M"),
    ("dense648", "dense5k", "dense41k"),
)
PROGRAMS = ("glassml", "matscipy", "vitrum", "fastatomstruct", "freud")
# What each program can do and is right at; `tasks.py` has how.
ABLE = {
    "glassml": TASKS,
    "matscipy": ("primitive",),
    "vitrum": ("sq", "king-shell", "guttman"),
    "fastatomstruct": ("king-shell", "guttman"),
    "freud": ("gr",),
}
COLUMNS = ("structure", "task", "program", "wall_s", "cpu_s", "peak_MB", "before_MB", "load")


def measure(python, program, task, path, threads, timeout):
    command = [python, str(Path(__file__).with_name("tasks.py")), program, task, str(path)]
    try:
        done = subprocess.run(
            [*command, str(threads)], capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return {"note": f"more than {timeout} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"note": (done.stderr.strip().splitlines() or ["no output"])[-1][:200]}
    return json.loads(lines[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peers", help="python of the peers' environment")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--programs", nargs="+", default=PROGRAMS)
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--structures", nargs="+")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    gave_up = set()
    with (args.output / "timings.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*COLUMNS, "result", "note"], lineterminator="\n")
        writer.writeheader()
        for kind in STRUCTURES:
            for name in kind:
                if args.structures and name not in args.structures:
                    continue
                for task in args.tasks:
                    for program in args.programs:
                        if task not in ABLE[program] or (kind, task, program) in gave_up:
                            continue
                        python = sys.executable if program == "glassml" else args.peers
                        path = args.folder / f"{name}.npz"
                        row = measure(python, program, task, path, args.threads, args.timeout)
                        if "skipped" in row or "note" in row:
                            gave_up.add((kind, task, program))
                        if "skipped" in row:
                            continue
                        row |= {"structure": name, "task": task, "program": program}
                        row["result"] = json.dumps(row.get("result"))
                        writer.writerow(row)
                        file.flush()
                        print(row, flush=True)


if __name__ == "__main__":
    main()
