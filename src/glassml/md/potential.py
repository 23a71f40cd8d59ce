"""The potential of a run: loading it, and whether it fits the atoms."""

import logging
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator

from glassml.campaign.errors import GlassmlError, StructureError
from glassml.campaign.files import file_sha256, read_json
from glassml.potential import load_calculator
from glassml.potential.boxes import heights

logger = logging.getLogger(__name__)


def load_potential(
    package: Path, compiled: Path | None = None, device: str | None = None, *, threads: int = 1
) -> tuple[Calculator, dict[str, object]]:
    """Load a NequIP potential, and describe it for records.

    Parameters
    ----------
    package, compiled, device
        As in `glassml.potential.load_calculator`.
    threads
        Threads of the process that torch may use; sums come out another way with another number.

    Returns
    -------
    calculator, description
        The description has path, sha256, backend, device and threads.
    """
    import torch  # noqa: PLC0415  (seconds to import)

    torch.set_num_threads(threads)
    calculator = load_calculator(package, compiled, device)
    description = {
        "path": str(package),
        "sha256": file_sha256(package),
        "backend": calculator.parameters["backend"],
        "device": calculator.parameters["device"],
        "threads": threads,
    }
    return calculator, description


def check_potential(calculator: Calculator, atoms: Atoms) -> list[str]:
    """Check that a NequIP calculator knows the elements, and warn of a box that is small.

    Parameters
    ----------
    calculator
        The calculator.
    atoms
        The start.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    StructureError
        If an element is unknown to the potential.
    """
    warnings = []
    for part in (calculator, *getattr(calculator, "transforms", ())):
        known = getattr(part, "model_type_names", None) or getattr(part, "species", None)
        if known is not None and (unknown := sorted(set(atoms.symbols) - set(known))):
            raise StructureError(
                f"the potential is for {', '.join(known)}; it does not know {', '.join(unknown)}: "
                "choose another potential or composition"
            )
        cutoff = getattr(part, "r_max", None) or getattr(part, "cutoff_A", None)
        width = heights(atoms.cell.array).min()
        if cutoff is not None and width < 2.0 * cutoff:
            warnings.append(
                f"the box is {width:.2f} Å wide, less than twice the cutoff of {cutoff:g} Å"
                ": atoms interact with their own images, and structures look more ordered"
            )
    for warning in warnings:
        logger.warning("%s", warning)
    return warnings


def gate_warnings(gates: Path | None, allow_red: bool = False) -> list[str]:
    """Give a warning if the potential fails gates, nothing if it passes or none were given.

    Parameters
    ----------
    gates
        The potential's `gates.json`.
    allow_red
        Warn of a red potential too, where it would be refused.

    Raises
    ------
    GlassmlError
        If a gate is red, naming each with its numbers and thresholds, unless `allow_red`.
    """
    if gates is None:
        return []
    record = read_json(gates)
    if record["status"] == "green":
        return []
    if record["status"] == "red" and not allow_red:
        raise GlassmlError(_refusal(gates, record))
    missed = [f"{name} ({status})" for name, status in record["gates"].items() if status != "green"]
    return [f"the potential misses gates: {', '.join(missed)}"]


def _refusal(gates: Path, record: dict[str, Any]) -> str:
    """Tell which gates are red and by how much; the last line says it all in short."""
    red = [row for row in record["results"] if row["status"] == "red"]
    names = ", ".join(name for name, status in record["gates"].items() if status == "red")
    lines = [f"{gates}: {len(red)} numbers of the potential are red:"]
    for row in red:
        value = "not a number" if row["value"] is None else f"{row['value']:.3g} {row['unit']}"
        allowed = f"{row['threshold']:.3g} {row['unit']}".strip()
        note = f" ({row['note']})" if row["note"] else ""
        lines.append(f"  {row['gate']}: {row['name']}: {value.strip()}, allowed {allowed}{note}")
    lines.append(
        f"no dynamics with a potential whose gates are red ({names}): train on more labels, raise "
        "their thresholds in potential.gates with a reason, or set md.allow_red_potential: true"
    )
    return "\n".join(lines)
