"""Time `glassml plan` and `status` for a campaign of 30,000 configurations, before and after DFT.

Usage: python benchmarks/campaign_scale.py [FOLDER]
"""

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = """
name: big
configurations:
  shard_size: 8
  families:
    glass: {generator: glass, count: 15000}
    liquid: {generator: melt, count: 10000}
    crystals: {generator: crystal, count: 5000, polymorphs: [alpha_quartz]}
md: {glasses: 6}
"""
FAMILIES = {"glass": 15000, "liquid": 10000, "crystals": 5000}
COLUMNS = ("config_id", "family", "atoms", "status", "reason", "recipe", "seconds")


def write_shards(root: Path) -> None:
    """Write what 30,000 labels leave: tables, structures (empty here), benchmarks."""
    for family, count in FAMILIES.items():
        for shard in range(0, count, 8):
            name = f"{family}/{shard // 8:04d}"
            for stage in ("configurations", "dft"):
                path = root / stage / f"{name}.csv"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.with_suffix(".extxyz").touch()
                with path.open("w", newline="", encoding="utf-8") as file:
                    writer = csv.writer(file)
                    writer.writerow(COLUMNS)
                    writer.writerows(
                        (f"{family}/{i:06d}", family, 24, "converged", "", "standard", 50.0)
                        for i in range(shard, min(shard + 8, count))
                    )
                path = root / "benchmarks" / stage / f"{name}.tsv"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("s\th:m:s\n400.0\t0:06:40\n", encoding="utf-8")


def timed(folder: Path, command: str) -> float:
    """Run a command of glassml, and give its wall-clock seconds."""
    start = time.perf_counter()
    subprocess.run(["glassml", command, "big.yaml"], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the times of both commands."""
    with tempfile.TemporaryDirectory() as default:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else default)
        (folder / "big.yaml").write_text(CONFIG, encoding="utf-8")
        for moment in ("before anything ran", "with 30,000 labels"):
            times = ", ".join(f"{name} {timed(folder, name):.2f} s" for name in ("plan", "status"))
            print(f"{moment}: {times}")
            write_shards(folder / "results" / "big")


if __name__ == "__main__":
    main()
