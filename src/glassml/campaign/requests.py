"""What jobs ask a scheduler for."""

import csv
from pathlib import Path

#: Of the two Snakemakes that a job of SLURM has around its command: 215 MB each, rounded up.
SNAKEMAKES_MB = 500
SPARE = 1.5
#: Snakemake looks at a job's memory more and more rarely: of short ones it may have seen nothing.
SHORTEST_S = 60.0


def measured_megabytes(folder: str | Path) -> int | None:
    """Give the most memory that jobs of a kind took, with half of it to spare.

    Parameters
    ----------
    folder
        Where Snakemake keeps the benchmarks of these jobs, one TSV file each.

    Returns
    -------
    int or None
        In MB; None where no job of a minute or longer has run yet.
    """
    found = [float(row["max_rss"]) for path in Path(folder).glob("*.tsv") for row in _rows(path)]
    return round(SPARE * max(found)) if found else None


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [
        row
        for row in rows
        if row.get("max_rss") not in {None, "", "-", "NA"}
        and float(row.get("s") or 0.0) >= SHORTEST_S
    ]
