"""Time a campaign of 30,000 configurations: parse, plan, status, growth, label store.

The campaign is generated: what 30,000 labels leave behind is written, no label is calculated.
Seconds are wall-clock and, in brackets, processor time, which tells more on a busy machine.

Usage: python benchmarks/campaign_scale.py [FOLDER]
"""

import csv
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from glassml.campaign.config import load_campaign
from glassml.campaign.jobs import shard_sizes
from glassml.campaign.store import LabelStore

CONFIG = """
name: big
configurations:
  shard_size: 125
  families:
    glass: {{generator: glass, count: {glass}}}
    liquid: {{generator: melt, count: 10000}}
    crystals: {{generator: crystal, count: 5000, polymorphs: [alpha_quartz]}}
md: {{glasses: 6}}
"""
GLASSES = 15000
COLUMNS = ("config_id", "family", "atoms", "status", "reason", "recipe", "seconds")
SNAKEFILE = Path(__file__).parents[1] / "Snakefile"
SNAKEMAKE = ["snakemake", "--snakefile", str(SNAKEFILE), "--configfile", "big.yaml"]


def timed(folder: Path, *command: str) -> tuple[str, str]:
    """Run a command; give its output, and its seconds, processor seconds and memory as text."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    process = subprocess.Popen(
        ["/usr/bin/env", "python", "-c", PROBE, *command],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    output, _ = process.communicate()
    wall = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{' '.join(command)[:80]} … failed: {output[-300:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    output, _, kilobytes = output.rpartition("peak ")
    return output, f"{wall:.2f} s ({cpu:.2f} s), {int(kilobytes) / 1024:.0f} MB"


# Peak memory of a child is known to its parent only as the largest of all its children.
PROBE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stderr=subprocess.STDOUT).returncode
print(f"\\npeak {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}")
sys.exit(code)
"""


def write_shards(folder: Path) -> None:
    """Write what 30,000 labels leave: tables, structures (empty here), benchmarks."""
    campaign = load_campaign(folder / "big.yaml")
    root = folder / "results/big"
    for family in campaign.configurations.families:
        first = 0
        for shard, size in enumerate(shard_sizes(campaign, family)):
            rows = [
                (f"{family}/{number:06d}", family, 24, "converged", "", "standard", 50.0)
                for number in range(first, first + size)
            ]
            first += size
            for stage in ("configurations", "dft"):
                path = root / stage / family / f"{shard:04d}.csv"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.with_suffix(".extxyz").touch()
                with path.open("w", newline="", encoding="utf-8") as file:
                    csv.writer(file).writerows([COLUMNS, *rows])
                path = root / "benchmarks" / stage / family / f"{shard:04d}.tsv"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("s\th:m:s\n400.0\t0:06:40\n", encoding="utf-8")
    (root / "dft/seeded.json").write_text("{}\n", encoding="utf-8")


def scheduled(output: str) -> dict[str, int]:
    """Read the table of jobs by rule that Snakemake prints."""
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)}


def show(folder: Path, moment: str) -> None:
    """Time parsing, plan and status."""
    print(moment)
    _, cost = timed(folder, *SNAKEMAKE, "-n", "--quiet", "rules")
    print(f"  snakemake -n: {cost}")
    for name in ("plan", "status"):
        print(f"  glassml {name}: {timed(folder, 'glassml', name, 'big.yaml')[1]}")


def grow(folder: Path) -> None:
    """Add 1,000 configurations to a family, and say which shards are made or labelled."""
    campaign = load_campaign(folder / "big.yaml")
    shards = [
        f"results/big/dft/{family}/{shard}.csv"
        for family, shard in campaign.configurations.all_shards()
    ]
    # Records the settings that each shard was made with, as a finished run does.
    timed(folder, *SNAKEMAKE, "--touch", "--cores", "1", *shards, "--quiet", "all")
    (folder / "big.yaml").write_text(CONFIG.format(glass=GLASSES + 1000), encoding="utf-8")
    grown = load_campaign(folder / "big.yaml").configurations.all_shards()
    wanted = [f"results/big/dft/{family}/{shard}.csv" for family, shard in grown]
    output, cost = timed(folder, *SNAKEMAKE, "-n", *wanted, "--quiet", "rules")
    jobs = scheduled(output)
    made, labelled = (jobs.get(rule, 0) for rule in ("configurations_generate", "dft_label"))
    print(
        f"1,000 more are {len(grown) - len(shards)} shards of {len(grown)}; scheduled: {made} to "
        f"make, {labelled} to label: {cost}"
    )


def store(folder: Path) -> None:
    """Time the label store with 30,000 records in a pack."""
    labels = LabelStore(folder / "labels")
    record = {"status": "converged", "forces": [[0.123456789] * 3] * 24, "energy": -1.0}
    keys = [f"{number:064x}" for number in range(30000)]
    labels.put_many(dict.fromkeys(keys, record), "all")
    start = time.perf_counter()
    opened = LabelStore(folder / "labels")
    opened.get(keys[0])
    middle = time.perf_counter()
    for key in keys[::30]:
        opened.get(key)
    end = time.perf_counter()
    files = sum(path.is_file() for path in (folder / "labels").rglob("*"))
    print(
        f"store: 30,000 records in {files} file: opened in {middle - start:.2f} s, "
        f"{end - middle:.3f} ms a record"
    )


def main() -> None:
    """Print all times."""
    with tempfile.TemporaryDirectory() as default:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else default)
        (folder / "big.yaml").write_text(CONFIG.format(glass=GLASSES), encoding="utf-8")
        show(folder, "before anything ran")
        write_shards(folder)
        show(folder, "with 30,000 labels")
        grow(folder)
        store(folder)


if __name__ == "__main__":
    main()
