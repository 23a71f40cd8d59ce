"""Compile a package for this machine, or say why the package itself is used."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

from glassml.campaign.files import write_json
from glassml.potential.calculators import (
    COMPILED_MODEL,
    COMPILED_RECORD,
    PotentialError,
    choose_device,
    machine,
)
from glassml.potential.training import run_nequip

logger = logging.getLogger(__name__)

# Loading a compiled model ended some versions of torch on CUDA with a segmentation fault:
# it is tried in a process of its own.
TRY_TO_LOAD = """
import sys
from pathlib import Path
from ase.build import bulk
from glassml.potential import load_calculator
calculator = load_calculator(Path(sys.argv[1]), Path(sys.argv[1]), device=sys.argv[2])
species = sys.argv[3]
atoms = bulk(species, "fcc", a=3.5, cubic=True)
atoms.calc = calculator
print(atoms.get_potential_energy())
"""


def compile_package(
    package: Path, folder: Path, *, wanted: str, species: str, device: str | None, threads: int
) -> dict[str, Any]:
    """Compile `package` with AOTInductor into `folder`, if wanted and if it works here.

    Parameters
    ----------
    package
        A NequIP package.
    folder
        Receives `compiled.json`, and `model.nequip.pt2` where there is a compiled model.
    wanted
        "never", "auto" (the package itself is used where compiling fails), or "always".
    species
        A chemical symbol that the potential knows, for a first evaluation.
    device
        "cpu" or "cuda"; None takes a GPU if there is one.
    threads
        For the compiler.

    Returns
    -------
    dict
        The content of `compiled.json`: `backend` ("aotinductor" or "eager"), `reason`, `machine`.

    Raises
    ------
    PotentialError
        If compiling fails and `wanted` is "always".
    """
    folder.mkdir(parents=True, exist_ok=True)
    device = choose_device(device)
    target = folder / COMPILED_MODEL
    target.unlink(missing_ok=True)
    reason = (
        "compile: never"
        if wanted == "never"
        else _try_to_compile(package, target, device, species, threads)
    )
    if reason is not None and wanted == "always":
        raise PotentialError(f"{package}: compiling for {device} failed: {reason}")
    if reason is not None:
        target.unlink(missing_ok=True)
        logger.warning("the package itself is used, evaluated eagerly: %s", reason)
    record = {
        "backend": "aotinductor" if reason is None else "eager",
        "reason": reason or "compiled and loaded",
        "machine": machine(device),
    }
    write_json(folder / COMPILED_RECORD, record)
    return record


def _try_to_compile(
    package: Path, target: Path, device: str, species: str, threads: int
) -> str | None:
    """Compile and load; give the reason where that fails."""
    options = ["--mode", "aotinductor", "--device", device, "--target", "ase"]
    try:
        run_nequip(["compile", str(package), str(target), *options], threads)
    except PotentialError as error:
        return str(error)
    command = [sys.executable, "-c", TRY_TO_LOAD, str(target), device, species]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines()
        return f"loading ends with code {result.returncode}: {lines[-1] if lines else ''}"
    return None
