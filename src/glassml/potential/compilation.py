"""Evaluate a package fast on this machine, or say why it is evaluated as it is."""

import logging
import subprocess
import sys
from pathlib import Path

from glassml.campaign.files import file_sha256, write_json
from glassml.campaign.trust import trust
from glassml.potential.calculators import AOTINDUCTOR, CUDA_GRAPH, EAGER
from glassml.potential.packages import (
    COMPILED_MODEL,
    COMPILED_RECORD,
    PotentialError,
    choose_device,
    machine,
)
from glassml.potential.training import run_nequip

logger = logging.getLogger(__name__)

# Loading a compiled model ended some versions of torch on CUDA with a segmentation fault:
# what will be used is tried in a process of its own.
TRY = """
import sys
from pathlib import Path
from ase.build import bulk
from glassml.potential import load_calculator
calculator = load_calculator(Path(sys.argv[1]), Path(sys.argv[2]), device=sys.argv[3])
atoms = bulk(sys.argv[4], "fcc", a=3.5, cubic=True)
atoms.calc = calculator
print(atoms.get_potential_energy())
"""


def compile_package(
    package: Path, folder: Path, *, wanted: str, species: str, device: str | None, threads: int
) -> dict[str, object]:
    """Find the fastest way to evaluate `package` here: what works is noted in `folder`.

    On a GPU a CUDA graph is tried first (with OpenEquivariance where it is installed and right),
    then AOTInductor; where all fails, the package itself is used.

    Parameters
    ----------
    package
        A NequIP package.
    folder
        Receives `compiled.json`, and `model.nequip.pt2` where AOTInductor works.
    wanted
        "never", "auto" (the package itself is used where all fails), or "always".
    species
        A chemical symbol that the potential knows, for a first evaluation.
    device
        "cpu" or "cuda"; None takes a GPU if there is one.
    threads
        For the compiler.

    Returns
    -------
    dict
        The content of `compiled.json`: `backend` ("aotinductor", "cuda_graph" or "eager"),
        `reason`, `machine`.

    Raises
    ------
    PotentialError
        If all fails and `wanted` is "always".
    """
    folder.mkdir(parents=True, exist_ok=True)
    device = choose_device(device)
    (folder / COMPILED_MODEL).unlink(missing_ok=True)
    reasons = ["compile: never"] if wanted == "never" else []
    for backend in () if wanted == "never" else accelerations(device):
        record: dict[str, object] = {"backend": backend}
        record["reason"] = "; ".join([*reasons, f"{backend} works"])
        record["machine"] = machine(device)
        reason = _try(record, package, folder, device, species, threads)
        if reason is None:
            return record
        reasons.append(f"{backend}: {reason}")
    if wanted == "always":
        raise PotentialError(f"{package}: compiling for {device} failed: {'; '.join(reasons)}")
    logger.warning("the package itself is used, evaluated eagerly: %s", "; ".join(reasons))
    found: dict[str, object] = {
        "backend": EAGER,
        "reason": "; ".join(reasons),
        "machine": machine(device),
    }
    write_json(folder / COMPILED_RECORD, found)
    return found


def accelerations(device: str) -> tuple[str, ...]:
    """Give the ways to evaluate faster than eagerly that may work on a device, best first."""
    return (CUDA_GRAPH, AOTINDUCTOR) if device.startswith("cuda") else (AOTINDUCTOR,)


def _try(
    record: dict[str, object], package: Path, folder: Path, device: str, species: str, threads: int
) -> str | None:
    """Compile where that is needed, note it in `folder`, and evaluate; or say what failed."""
    target = folder / COMPILED_MODEL
    if record["backend"] == AOTINDUCTOR:
        options = ["--mode", "aotinductor", "--device", device, "--target", "ase"]
        try:
            run_nequip(["compile", str(package), str(target), *options], threads, target)
        except PotentialError as error:
            target.unlink(missing_ok=True)
            return str(error)
        trust([file_sha256(target)])
    write_json(folder / COMPILED_RECORD, record)
    command = [sys.executable, "-c", TRY, str(package), str(folder), device, species]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return None
    target.unlink(missing_ok=True)
    lines = result.stderr.strip().splitlines()
    return f"a first evaluation ends with code {result.returncode}: {lines[-1] if lines else ''}"
