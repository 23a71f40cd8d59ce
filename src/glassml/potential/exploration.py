"""Active learning: dynamics with a committee, and the configurations that it does not agree on.

The disagreement of a committee (`glassml.potential.disagreement`), times the ratio of true error to
spread on test labels, estimates the error of the force on the worst atom; by that a configuration
is accurate, a candidate for labelling, or failed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.md import MolecularDynamics
from ase.md.nptberendsen import NPTBerendsen
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.optimize import FIRE

from glassml.potential.disagreement import disagreement
from glassml.potential.stability import unphysical_event

ACCURATE, CANDIDATE, FAILED = "accurate", "candidate", "failed"
TRAJECTORY_COLUMNS = (
    "run",
    "trajectory",
    "start",
    "picoseconds",
    ACCURATE,
    CANDIDATE,
    FAILED,
    "largest_error_eV_per_A",
    "event",
    "seconds",
)
SELECTION_COLUMNS = ("config_id", "run", "error_eV_per_A", "distance", "chosen")
TIMESTEP_FS = 1.0
THERMOSTAT_FS, BAROSTAT_FS = 50.0, 500.0
COMPRESSIBILITY_PER_GPA = 1 / 40
SETTLING_STEPS, SETTLED_EV_PER_A = 20, 0.5


@dataclass(frozen=True)
class Visit:
    """A configuration of an exploration, and the estimated error of its worst force in eV/Å."""

    step: int
    atoms: Atoms
    error: float
    verdict: str


@dataclass(frozen=True)
class Trajectory:
    """What an exploration visited, how long it lasted, and what stopped it (or nothing)."""

    visits: list[Visit]
    picoseconds: float
    event: str

    def count(self, verdict: str) -> int:
        """Count the visits with this verdict."""
        return sum(visit.verdict == verdict for visit in self.visits)


def explore(
    calculators: Sequence[Calculator],
    start: Atoms,
    *,
    temperature_K: tuple[float, float],
    pressure_GPa: tuple[float, float],
    picoseconds: float,
    check_steps: int,
    ratio: float,
    accurate_eV_A: float,
    failed_eV_A: float,
    rng: np.random.Generator,
) -> Trajectory:
    """Run dynamics along a ramp of temperature and pressure, and stop where it fails.

    The first calculator moves the atoms (Berendsen's thermostat and barostat, isotropic), after
    a few steps downhill: what another potential made, or a rattle, is full of energy here.

    Parameters
    ----------
    calculators
        The committee, at least two members.
    start
        With periodic boundaries.
    temperature_K, pressure_GPa
        At the start and at the end.
    picoseconds
        Length.
    check_steps
        The committee is asked after so many steps.
    ratio
        True error over disagreement.
    accurate_eV_A, failed_eV_A
        Bounds of the estimated error: below the first a configuration is accurate, from the
        second on it has failed, and the run ends.
    rng
        Of the velocities.
    """
    atoms = Atoms(start.numbers, start.positions, cell=start.cell, pbc=True)
    atoms.calc = calculators[0]
    FIRE(atoms, logfile=None).run(fmax=SETTLED_EV_PER_A, steps=SETTLING_STEPS)
    # half of it goes into potential energy
    thermalize_momenta(atoms, temperature_K=2 * temperature_K[0], rng=rng)
    Stationary(atoms)
    dynamics = NPTBerendsen(
        atoms,
        TIMESTEP_FS * units.fs,
        temperature_K=temperature_K[0],
        pressure_au=pressure_GPa[0] * units.GPa,
        taut=THERMOSTAT_FS * units.fs,
        taup=BAROSTAT_FS * units.fs,
        compressibility_au=COMPRESSIBILITY_PER_GPA / units.GPa,
    )
    steps = max(check_steps, round(1e3 * picoseconds / TIMESTEP_FS))
    visits: list[Visit] = []
    volume, done, event = atoms.get_volume(), 0, ""
    while done < steps and not event:
        share = done / steps
        target = float(np.interp(share, (0, 1), temperature_K))
        dynamics.set_temperature(temperature_K=target)
        pressure = float(np.interp(share, (0, 1), pressure_GPa))
        dynamics.pressure = pressure * units.GPa  # set_pressure of ASE 3.29 always raises
        event = _advance(dynamics, atoms, check_steps)
        event = event or unphysical_event(atoms, target, volume)
        if event:
            break
        done += check_steps
        frame = Atoms(atoms.numbers, atoms.get_positions(wrap=True), cell=atoms.cell, pbc=True)
        error = ratio * disagreement([each.get_forces(frame) for each in calculators])
        verdict = _verdict(error, accurate_eV_A, failed_eV_A)
        visits.append(Visit(done, frame, error, verdict))
        if verdict == FAILED:
            event = f"the committee disagrees: error of {error:.2f} eV/Å"
    return Trajectory(visits, 1e-3 * TIMESTEP_FS * done, event)


def _advance(dynamics: MolecularDynamics, atoms: Atoms, steps: int) -> str:
    """Take steps; neighbour lists of atoms that are nowhere never end, so look after each."""
    for _ in range(steps):
        if not np.isfinite(atoms.get_forces()).all():
            return "forces are not finite"
        dynamics.run(1)
    return ""


def _verdict(error: float, accurate: float, failed: float) -> str:
    if not error < failed:
        return FAILED
    return ACCURATE if error < accurate else CANDIDATE


def choose(
    errors: np.ndarray, candidates: np.ndarray, known: np.ndarray, count: int
) -> list[tuple[int, float]]:
    """Choose candidates that are both in error and unlike what is known or chosen already.

    Each next one has the largest product of its error and its distance to the nearest
    configuration that is known or chosen.

    Parameters
    ----------
    errors
        Estimated errors, shape (candidates,).
    candidates, known
        Descriptors, shape (candidates, features) and (known, features).
    count
        How many to choose, at most.

    Returns
    -------
    list of tuple
        Index of the candidate and its distance when it was chosen, in order.
    """
    nearest = np.full(len(candidates), np.inf)
    for row in known:
        nearest = np.minimum(nearest, np.linalg.norm(candidates - row, axis=1))
    chosen: list[tuple[int, float]] = []
    while len(chosen) < min(count, len(candidates)):
        # without anything known, all are equally far
        score = errors * (nearest if np.isfinite(nearest).any() else 1.0)
        best = int(np.argmax(score))
        if score[best] <= 0:
            break
        chosen.append((best, float(nearest[best])))
        distance = np.linalg.norm(candidates - candidates[best], axis=1)
        nearest = np.minimum(nearest, distance)
    return chosen


def select(
    candidates: Sequence[Atoms],
    known: Sequence[Atoms],
    count: int,
    describe: Callable[[Sequence[Atoms]], np.ndarray],
) -> tuple[list[Atoms], list[dict[str, object]]]:
    """Choose configurations to label.

    Parameters
    ----------
    candidates
        With the estimated error in `info["error_eV_per_A"]`.
    known
        Labelled configurations.
    count
        How many to choose, at most.
    describe
        Gives descriptors, shape (structures, features).

    Returns
    -------
    selected, rows
        The chosen ones in order, and a row for each candidate: `SELECTION_COLUMNS`.
    """
    if not candidates:
        return [], []
    errors = np.array([atoms.info["error_eV_per_A"] for atoms in candidates])
    familiar = describe(known) if known else np.empty((0, 0))
    familiar = familiar[np.isfinite(familiar).all(axis=1)] if known else familiar
    chosen = choose(errors, describe(candidates), familiar, count)
    order = {index: (place, distance) for place, (index, distance) in enumerate(chosen)}
    rows = [
        {
            "config_id": atoms.info["config_id"],
            "run": str(atoms.info["config_id"]).split("/")[1],
            "error_eV_per_A": float(errors[index]),
            "distance": order[index][1] if index in order else "",
            "chosen": order[index][0] + 1 if index in order else "",
        }
        for index, atoms in enumerate(candidates)
    ]
    return [candidates[index] for index, _ in chosen], rows


def trajectory_row(
    run: str, number: int, start: str, trajectory: Trajectory, seconds: float
) -> dict[str, object]:
    """Give the row of a trajectory: `TRAJECTORY_COLUMNS`."""
    return {
        "run": run,
        "trajectory": number,
        "start": start,
        "picoseconds": trajectory.picoseconds,
        **{verdict: trajectory.count(verdict) for verdict in (ACCURATE, CANDIDATE, FAILED)},
        "largest_error_eV_per_A": max((v.error for v in trajectory.visits), default=""),
        "event": trajectory.event,
        "seconds": round(seconds, 2),
    }


def candidates_of(trajectory: Trajectory, names: Mapping[str, object], first: int) -> list[Atoms]:
    """Give the candidates of a trajectory as configurations to label, numbered from `first`.

    Parameters
    ----------
    trajectory
        From `explore`.
    names
        `family`, `parent` and `prefix` (of `config_id`).
    first
        Number of the first.
    """
    found: list[Atoms] = []
    for visit in trajectory.visits:
        if visit.verdict != CANDIDATE:
            continue
        atoms = visit.atoms.copy()
        atoms.info = {
            "config_type": "explored",
            "family": names["family"],
            "parent": names["parent"],
            "config_id": f"{names['prefix']}/{first + len(found):06d}",
            "error_eV_per_A": visit.error,
        }
        found.append(atoms)
    return found
