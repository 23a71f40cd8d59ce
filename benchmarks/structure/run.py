"""Time and peak memory of all programs on all structures, one after the other: table and plot.

    python run.py FOLDER --peers PEERS/bin/python --output RESULTS [--timeout 60] [--threads 2]

Writes `timings.csv`, `timings.md` and `timings.png`. A program that fails or runs out of time or
memory on a structure is not tried on larger ones of its kind. Rows that `timings.csv` has already
and that are not measured again (`--structures`, `--tasks`, `--programs`) are kept.
"""

import argparse
import csv
import json
import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

TASKS = ("gr", "sq", "primitive", "king", "king-shell", "guttman", "shape")
TITLES = {
    "gr": "g(r), 3 partials to 20 Å",
    "sq": "S(Q) to 25 1/Å",
    "primitive": "primitive rings",
    "king": "King rings",
    "king-shell": "King rings, shell",
    "guttman": "Guttman rings",
    "shape": "shape of rings",
}
STRUCTURES = (
    ("glass3k", "glass24k", "glass108k", "glass1M"),
    ("dense3k", "dense24k", "dense108k"),
)
ATOMS = {"3k": 3000, "24k": 24_000, "108k": 108_000, "1M": 1_029_000}
ABLE = {
    "glassml": TASKS,
    "matscipy": ("primitive",),
    "matcorr": ("gr", "primitive"),
    "vitrum": ("gr", "sq", "king-shell", "guttman"),
    "sovapy": ("gr", "sq", "king", "guttman"),
    "fastatomstruct": ("king-shell", "guttman"),
    "amorphouspy": ("sq", "guttman"),
    "freud": ("gr",),
    "dynasor": ("sq",),
}
COLUMNS = (
    "structure",
    "task",
    "program",
    "wall_s",
    "cpu_s",
    "peak_MB",
    "before_MB",
    "load",
    "equal",
    "result",
    "note",
)


MEMORY = 10 * 2**30  # bytes of address space, so that nothing takes the machine down


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def measure(python, program, task, path, warm, threads, timeout):
    script = str(Path(__file__).with_name("tasks.py"))
    command = [python, script, program, task, str(path), str(warm), str(threads)]
    limits = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "NUMBA", "MKL", "OPENBLAS")}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=os.environ | limits,
            preexec_fn=limit_memory,
        )
    except subprocess.TimeoutExpired:
        return {"note": f"more than {timeout:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"note": (done.stderr.strip().splitlines() or ["killed"])[-1][:120]}
    return json.loads(lines[-1])


def run_all(args, writer):
    """Measure everything; glassml comes first, and its rings are what others are compared with."""
    gave_up, rows = set(), []
    for kind in STRUCTURES:
        for name in kind:
            if name not in args.structures:
                continue
            for task in args.tasks:
                known = None
                for program in args.programs:
                    if task not in ABLE[program] or (kind, task, program) in gave_up:
                        continue
                    python = sys.executable if program == "glassml" else args.peers
                    path, warm = args.folder / f"{name}.npz", args.folder / "glass24k.npz"
                    row = measure(python, program, task, path, warm, args.threads, args.timeout)
                    if "note" in row:
                        gave_up.add((kind, task, program))
                    result = row.get("result")
                    if program == "glassml":
                        known = result
                    elif isinstance(result, dict) and known is not None:
                        row["equal"] = result == known
                    row |= {"structure": name, "task": task, "program": program}
                    row["result"] = json.dumps(result)
                    rows.append(row)
                    writer(row)
                    print({key: row[key] for key in row if key != "result"}, flush=True)
    return rows


def kept_rows(path, args):
    """Rows of an earlier run that are not measured again."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["structure"] not in args.structures
            or row["task"] not in args.tasks
            or row["program"] not in args.programs
        ]
    for row in rows:
        for name in [name for name, value in row.items() if value == ""]:
            del row[name]
        if "cpu_s" in row:
            row["cpu_s"] = float(row["cpu_s"])
        if "equal" in row:
            row["equal"] = row["equal"] == "True"
    return rows


def as_markdown(rows):
    """One line per task and program: CPU seconds, and peak memory, at each structure."""
    names = [name for kind in STRUCTURES for name in kind]
    by_key = {(row["task"], row["program"], row["structure"]): row for row in rows}
    lines = [f"| task | program | {' | '.join(names)} |", "| --- " * (len(names) + 2) + "|"]
    for task in TASKS:
        for program in ABLE:
            cells = [_cell(by_key.get((task, program, name))) for name in names]
            if any(cells):
                lines.append(f"| {TITLES[task]} | {program} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(row):
    if row is None:
        return ""
    if "cpu_s" not in row:
        return row["note"].split(":")[0][:40]
    mark = " ≠" if row.get("equal") is False else ""
    return f"{row['cpu_s']:.2f} s, {row['peak_MB']} MB{mark}"


def plot(rows, path):
    import matplotlib as mpl  # noqa: PLC0415 - not needed to measure

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(2, 4, figsize=(13, 6.2), constrained_layout=True)
    colours = {program: f"C{index}" for index, program in enumerate(ABLE)}
    for axis, task in zip(axes.flat, TASKS, strict=False):
        for program, colour in colours.items():
            for kind, style in zip(STRUCTURES, ("o-", "s--"), strict=True):
                points = [
                    (ATOMS[row["structure"].lstrip("glasden")], row["cpu_s"])
                    for row in rows
                    if (row["task"], row["program"]) == (task, program)
                    and row["structure"] in kind
                    and "cpu_s" in row
                ]
                if points:
                    wide = 2.0 if program == "glassml" else 1.0
                    axis.loglog(
                        *zip(*sorted(points), strict=True), style, color=colour, lw=wide, ms=4
                    )
        axis.set_title(TITLES[task], fontsize=10)
        axis.set_xlabel("atoms")
        axis.set_ylabel("CPU time (s)")
        axis.grid(alpha=0.25, lw=0.5)
    legend = axes.flat[len(TASKS)]
    legend.axis("off")
    for program, colour in colours.items():
        legend.plot([], [], "o-", color=colour, label=program)
    legend.plot([], [], "k-", label="glass, 2.2 g/cm³")
    legend.plot([], [], "k--", label="dense, 4.2 g/cm³")
    legend.legend(frameon=False, fontsize=9, loc="center")
    figure.savefig(path, dpi=130)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peers", help="python of the peers' environment")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--programs", nargs="+", default=tuple(ABLE), choices=tuple(ABLE))
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    names = tuple(name for kind in STRUCTURES for name in kind)
    parser.add_argument("--structures", nargs="+", default=names, choices=names)
    args = parser.parse_args()
    if args.peers is None:
        args.programs = ("glassml",)
    args.output.mkdir(parents=True, exist_ok=True)
    kept = kept_rows(args.output / "timings.csv", args)
    with (args.output / "timings.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()

        def write(row):
            table.writerow(row)
            file.flush()

        table.writerows(kept)
        rows = kept + run_all(args, write)
    where = f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {args.threads} threads"
    text = f"{where}: CPU time of all threads, peak memory; ≠: other rings than glassml\n\n"
    (args.output / "timings.md").write_text(text + as_markdown(rows), encoding="utf-8")
    plot(rows, args.output / "timings.png")


if __name__ == "__main__":
    main()
