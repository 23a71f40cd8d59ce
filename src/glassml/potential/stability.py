"""How long dynamics goes on with a potential, and which unphysical event ends it."""

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.langevin import Langevin
from ase.md.nptberendsen import NPTBerendsen
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.neighborlist import neighbor_list
from tqdm import tqdm

from glassml.campaign.files import atomic_path
from glassml.potential.probes import pair

logger = logging.getLogger(__name__)

# Nearer than this nothing in silica comes, also at 5000 K and tens of GPa.
UNPHYSICAL_A = {("O", "O"): 1.0, ("O", "Si"): 1.1, ("Si", "Si"): 1.4}
TIMESTEP_FS = 1.0  # the default of later dynamics
CHECK_STEPS = 10
CHECKPOINT_S = 60.0


@dataclass(frozen=True)
class Run:
    """How long dynamics went on until something unphysical happened, and what that was."""

    name: str
    picoseconds: float
    wanted_ps: float
    event: str

    @property
    def lost(self) -> float:
        """Give the share of the wanted time that is missing."""
        return max(0.0, 1.0 - self.picoseconds / self.wanted_ps)


@dataclass(frozen=True)
class Kept:
    """Where a run keeps what it needs to go on after a kill, and the configurations of an event.

    Attributes
    ----------
    folder
        Files are named after the run's condition.
    key
        What the run depends on: the state of another one is not taken.
    """

    folder: Path
    key: str

    def path(self, name: str, end: str) -> Path:
        """Give a file of the run of a condition."""
        return self.folder / (name.replace(",", "").replace(" ", "_") + end)

    def load(self, name: str) -> dict[str, Any]:
        """Read the state of a run; nothing if there is none of this key."""
        path = self.path(name, ".npz")
        if not path.exists():
            return {}
        with np.load(path) as file:
            state = {key: file[key] for key in file.files}
        if str(state["key"]) != self.key:
            logger.info("%s: is of another run, which begins anew", path)
            return {}
        return state

    def save(
        self, name: str, atoms: Atoms, rng: np.random.Generator, done: int, event: str
    ) -> None:
        """Write the state of a run, atomically."""
        with atomic_path(self.path(name, ".npz")) as temporary:
            np.savez(
                temporary,
                key=self.key,
                positions=atoms.positions,
                momenta=atoms.get_momenta(),
                cell=atoms.cell.array,
                rng=json.dumps(rng.bit_generator.state),
                done=done,
                event=event,
            )


def stability_run(
    calculator: Calculator,
    atoms: Atoms,
    *,
    temperature_K: float,
    pressure_GPa: float | None,
    picoseconds: float,
    rng: np.random.Generator,
    kept: Kept | None = None,
) -> Run:
    """Run short dynamics, and stop at the first unphysical event.

    Parameters
    ----------
    calculator
        The potential.
    atoms
        The start, with periodic boundaries.
    temperature_K
        Of a Langevin thermostat (constant volume), or of Berendsen's (constant pressure).
    pressure_GPa
        None for constant volume.
    picoseconds
        Length.
    rng
        Velocities, and noise.
    kept
        A run that is killed goes on from there, with the same digits. After an event the
        configurations before and at it lie there, as extxyz.
    """
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    start_volume, name = atoms.get_volume(), condition(temperature_K, pressure_GPa)
    state = kept.load(name) if kept else {}
    if state:
        atoms.set_cell(state["cell"])
        atoms.positions = state["positions"]
        atoms.set_momenta(state["momenta"])
        rng.bit_generator.state = json.loads(str(state["rng"]))
    else:
        # half of it goes into potential energy
        thermalize_momenta(atoms, temperature_K=2 * temperature_K, rng=rng)
        Stationary(atoms)
    atoms.calc = calculator
    dynamics = _dynamics(atoms, temperature_K, pressure_GPa, rng)
    steps = max(1, round(1e3 * picoseconds / TIMESTEP_FS))
    done, event = int(state.get("done", 0)), str(state.get("event", ""))
    saved, before = time.monotonic(), atoms.copy()
    with tqdm(total=steps, initial=done, desc=name, unit="step", mininterval=10) as bar:
        while done < steps and not event:
            # neighbour lists of atoms that are nowhere never end
            if not np.isfinite(atoms.get_forces()).all():
                event = "forces are not finite"
                break
            dynamics.run(1)
            done += 1
            bar.update()
            if done % CHECK_STEPS:
                continue
            event = unphysical_event(atoms, temperature_K, start_volume)
            if kept and event:
                with atomic_path(kept.path(name, "_event.extxyz")) as temporary:
                    ase.io.write(temporary, [before, atoms.copy()], format="extxyz")
            before = atoms.copy()
            if kept and time.monotonic() - saved > CHECKPOINT_S:
                kept.save(name, atoms, rng, done, event)
                saved = time.monotonic()
    if kept:
        kept.save(name, atoms, rng, done, event)
    lasted = 1e-3 * TIMESTEP_FS * (done if not event else max(0, done - CHECK_STEPS))
    # at once: other runs may take an hour more
    logger.info("%s: %s after %g ps", name, event or "ended well", lasted)
    return Run(name, lasted, picoseconds, event)


def condition(temperature_K: float, pressure_GPa: float | None) -> str:
    """Name a condition."""
    where = "constant volume" if pressure_GPa is None else f"{pressure_GPa:.0f} GPa"
    return f"{temperature_K:.0f} K, {where}"


def _dynamics(
    atoms: Atoms, temperature_K: float, pressure_GPa: float | None, rng: np.random.Generator
) -> Langevin | NPTBerendsen:
    timestep = TIMESTEP_FS * units.fs
    if pressure_GPa is None:
        friction = 0.01 / units.fs
        return Langevin(
            atoms, timestep, temperature_K=temperature_K, friction=friction, rng=rng, fixcm=False
        )
    return NPTBerendsen(
        atoms,
        timestep,
        temperature_K=temperature_K,
        pressure_au=pressure_GPa * units.GPa,
        taut=50 * units.fs,
        taup=200 * units.fs,
        compressibility_au=1 / (40 * units.GPa),
    )


def unphysical_event(atoms: Atoms, temperature_K: float, start_volume: float) -> str:
    """Name what is unphysical about a state of dynamics; empty if nothing is."""
    if not np.isfinite(atoms.positions).all():
        return "positions are not finite"
    if not 0.4 < atoms.get_volume() / start_volume < 2.5:
        return f"the volume changed by a factor {atoms.get_volume() / start_volume:.2f}"
    # fluctuations of a small cell are within five standard deviations of a chi-squared
    limit = temperature_K * (2.0 + 5.0 * np.sqrt(2 / (3 * len(atoms))))
    if atoms.get_temperature() > limit:
        return f"the temperature rose to {atoms.get_temperature():.0f} K"
    i, j, d = neighbor_list("ijd", atoms, max(UNPHYSICAL_A.values()))
    for first, second, distance in zip(i, j, d, strict=True):
        symbols = pair(atoms.symbols[first], atoms.symbols[second])
        if distance < UNPHYSICAL_A.get(symbols, 0.0):
            return f"{'-'.join(symbols)} came to {distance:.2f} Å"
    return ""
