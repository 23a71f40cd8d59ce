"""Gates: is a potential good enough for molecular dynamics? Red, amber or green, with numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

GREEN, AMBER, RED, UNKNOWN = "green", "amber", "red", "unknown"
ORDER = (GREEN, UNKNOWN, AMBER, RED)


@dataclass(frozen=True)
class Result:
    """One number of a gate against its threshold; None where there is nothing to judge by."""

    gate: str
    name: str
    value: float | None
    threshold: float
    unit: str
    status: str
    note: str = ""


def judge(
    gate: str,
    name: str,
    value: float | None,
    *,
    threshold: float,
    unit: str,
    amber_factor: float,
) -> Result:
    """Judge a number that should be small: green up to the threshold, amber a factor above it."""
    if value is None:
        status = UNKNOWN
    elif not np.isfinite(value):
        status, value = RED, None
    elif value <= threshold:
        status = GREEN
    else:
        status = AMBER if value <= amber_factor * threshold else RED
    return Result(gate, name, value, threshold, unit, status)


def worst(results: Sequence[Result]) -> str:
    """Give the worst status; a gate that nothing is known of does not turn green into amber."""
    known = [result.status for result in results if result.status != UNKNOWN]
    return max(known, key=ORDER.index, default=UNKNOWN)


def error_gate(
    errors: Sequence[Mapping[str, Any]], thresholds: Mapping[str, float], amber_factor: float
) -> list[Result]:
    """Judge the mean absolute errors on the test labels.

    Parameters
    ----------
    errors
        Rows of `errors.csv`, of all members.
    thresholds
        Of "energy" (meV/atom), "force" (eV/Å) and "stress" (GPa).
    amber_factor
        Width of the amber range.
    """
    results = []
    for quantity, threshold in thresholds.items():
        rows = [
            row
            for row in errors
            if (row["set"], row["group"], row["quantity"]) == ("test", "all", quantity)
        ]
        value = max((float(row["mae"]) for row in rows), default=None)
        unit = {"energy": "meV/atom", "force": "eV/Å", "stress": "GPa"}[quantity]
        name = f"{quantity} MAE, test labels, worst member"
        results.append(
            judge("errors", name, value, threshold=threshold, unit=unit, amber_factor=amber_factor)
        )
    return results


def as_record(results: Sequence[Result]) -> dict[str, Any]:
    """Give what `gates.json` holds: the verdict, one per gate, and every number."""
    names = list(dict.fromkeys(result.gate for result in results))
    return {
        "status": worst(results),
        "gates": {name: worst([r for r in results if r.gate == name]) for name in names},
        "results": [asdict(result) for result in results],
    }
