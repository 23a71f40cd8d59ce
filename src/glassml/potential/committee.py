"""The gates of a committee: what each needs, from its members' files and from the labels."""

import functools
import hashlib
import io
import math
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd
from ase import Atoms
from ase.calculators.calculator import Calculator

from glassml.campaign.config.potential import Gates, Phonons
from glassml.campaign.files import file_sha256, read_table_text
from glassml.campaign.process import load_faster
from glassml.campaign.seeds import generator
from glassml.potential import equations, gates, glasses, phonons, probes, rotations, stability
from glassml.potential.calculators import load_calculator
from glassml.potential.labels import read_labels
from glassml.potential.packages import PotentialError

# 20 GPa is the upper end of the compression experiments; 5000 K of the melts.
STABILITY_RUNS = ((300.0, None), (2500.0, None), (5000.0, None), (300.0, 20.0))
STABILITY_ATOMS = 60
PAIRS = (("O", "Si"), ("O", "O"), ("Si", "Si"))


class Committee:
    """The members of a generation.

    Parameters
    ----------
    folders
        Of the members.
    labels
        Labelled configurations of all sets, extxyz.
    device
        "cpu" or "cuda"; None takes a GPU if there is one.
    extra
        Labels that a gate needs beside: displaced cells for phonons, crystals at rest at several
        volumes for equations, glasses at rest, crystals along a rotation.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        labels: Sequence[Path],
        device: str | None = None,
        extra: Sequence[Path] = (),
    ) -> None:
        self.folders = list(folders)
        self.labels = list(labels)
        self.extra = list(extra)
        self.device = device

    def table(self, name: str) -> pd.DataFrame:
        """Join a table of all members, with a column `member`."""
        parts = [
            pd.read_csv(io.StringIO(read_table_text(folder / name)), keep_default_na=False).assign(
                member=folder.name
            )
            for folder in self.folders
        ]
        return pd.concat(parts, ignore_index=True)

    def frames(self) -> list[Atoms]:
        """Read the labelled configurations of all sets."""
        return [atoms for path in self.labels for atoms in read_labels(path)]

    def extra_frames(self) -> list[Atoms]:
        """Read the labels that a gate needs beside those of the sets."""
        return [atoms for path in self.extra for atoms in read_labels(path)]

    def calculator(self, folder: Path) -> Calculator:
        """Load what molecular dynamics would use of a member."""
        return load_calculator(folder / "model.nequip.zip", folder / "compiled", self.device)

    def points(
        self,
        measure: Callable[[Calculator, Sequence[Atoms], str], pd.DataFrame],
        frames: Sequence[Atoms],
    ) -> pd.DataFrame:
        """Join what `measure` finds with each member's calculator, on the same frames."""
        parts = [measure(self.calculator(folder), frames, folder.name) for folder in self.folders]
        return pd.concat(parts, ignore_index=True)

    def calibration_ratio(self) -> float:
        """Give true error over spread on the test forces.

        Raises
        ------
        PotentialError
            If there are fewer than two members, they always agree, or there are no test labels.
        """
        found = gates.calibration(self.table("parity.csv"))
        if found is None or not math.isfinite(found.ratio):
            raise PotentialError(
                "the disagreement of this committee says nothing about its error: it takes two "
                "members or more that differ, and test labels"
            )
        return found.ratio

    def starts(self, kinds: Sequence[str], atoms_max: int) -> list[Atoms]:
        """Give the configurations of some kinds that dynamics can begin with.

        Raises
        ------
        PotentialError
            If there are none.
        """
        frames = [atoms for atoms in self.frames() if 2 < len(atoms) <= atoms_max]
        found = [atoms for atoms in frames if atoms.info.get("config_type") in kinds]
        if not found:
            known = sorted({str(atoms.info.get("config_type")) for atoms in frames})
            raise PotentialError(
                f"no label of type {', '.join(kinds)} with up to {atoms_max} atoms to begin with; "
                f"there are: {', '.join(known)}"
            )
        return found


def run_gate(
    name: str,
    committee: Committee,
    thresholds: Gates,
    seed: int,
    processes: int = 1,
    folder: Path | None = None,
) -> tuple[list[gates.Result], pd.DataFrame]:
    """Judge a committee at one gate.

    Parameters
    ----------
    name
        "calibration", "curves", "dimers", "equations", "errors", "glasses", "phonons",
        "rotations" or "stability".
    committee
        The members.
    thresholds
        What is green.
    seed
        The campaign's.
    processes
        Stability runs at the same time.
    folder
        Where stability runs keep their state, so that they go on after a kill.

    Returns
    -------
    results, table
        The numbers, judged, and the curves behind them.
    """
    factor = thresholds.amber_factor
    if name == "errors":
        errors = committee.table("errors.csv")
        limits = {
            "energy": thresholds.energy_mae_meV_per_atom,
            "force": thresholds.force_mae_eV_per_A,
            "stress": thresholds.stress_mae_GPa,
        }
        return gates.error_gate(errors, limits, factor), errors
    if name == "calibration":
        parity = committee.table("parity.csv")
        results = gates.calibration_gate(parity, thresholds.calibration_ratio, factor)
        return results, pd.DataFrame([vars(result) for result in results])
    if name == "curves":
        curves = gates.energy_curves(committee.frames(), committee.table("parity.csv"))
        return gates.curve_gate(curves, thresholds.curve_meV_per_atom, factor), curves
    if name == "dimers":
        approaches = _approaches(committee)
        rows = [
            {"member": member, "name": a.name, "distance_A": r, "energy_eV": e}
            for member, each in approaches.items()
            for a in each
            for r, e in zip(a.distances_A.tolist(), a.energies_eV.tolist(), strict=True)
        ]
        results = gates.approach_gate(
            approaches, thresholds.dimer_hole_eV, thresholds.dimer_reach_eV, factor
        )
        return results, pd.DataFrame(rows)
    if name == "equations":
        frames = [atoms for atoms in committee.extra_frames() if "polymorph" in atoms.info]
        points = committee.points(equations.energy_points, frames)
        return gates.equation_gate(points, thresholds.equations, factor), points
    if name == "glasses":
        points = committee.points(glasses.glass_points, committee.extra_frames())
        return gates.glass_gate(points, thresholds.glasses, factor), points
    if name == "phonons":
        table = _phonons(committee, thresholds.phonons)
        return gates.phonon_gate(table, thresholds.phonons.rms_THz, factor), table
    if name == "rotations":
        frames = [atoms for path in committee.extra for atoms in rotations.read_rotations(path)]
        points = committee.points(rotations.rotation_points, frames)
        return gates.rotation_gate(points, thresholds.rotations, factor), points
    runs = _stability_runs(committee, thresholds.stability_ps, seed, processes, folder)
    return gates.stability_gate(runs), pd.DataFrame([vars(run) for run in runs])


def _approaches(committee: Committee) -> dict[str, list[probes.Approach]]:
    """Bring pairs of atoms together with each member."""
    start = (probes.crystals(committee.frames()) or committee.frames())[0]
    found = {}
    for folder in committee.folders:
        calculator = committee.calculator(folder)
        found[folder.name] = [probes.dimer_approach(calculator, pair) for pair in PAIRS]
        found[folder.name] += [
            probes.crystal_approach(calculator, start, pair) for pair in PAIRS[:2]
        ]
    return found


def _phonons(committee: Committee, settings: Phonons) -> pd.DataFrame:
    """Compare the frequencies of all crystals and members with those of the labels."""
    labels = committee.extra_frames()
    frames = read_labels(Path(settings.structures)) if settings.structures else []
    parts = []
    for crystal in settings.crystals:
        unit = phonons.structure(crystal, frames)
        cells = phonons.displace(crystal, unit, settings.supercell, settings.displacement_A)
        expected = cells.frequencies(phonons.labelled_forces(cells, labels))
        for folder in committee.folders:
            calculator = committee.calculator(folder)
            found = cells.frequencies([calculator.get_forces(atoms) for atoms in cells.cells])
            parts.append(phonons.compare(crystal, folder.name, found, expected))
    return pd.concat(parts, ignore_index=True)


def _stability_runs(
    committee: Committee, picoseconds: float, seed: int, processes: int, folder: Path | None
) -> list[stability.Run]:
    """Run short dynamics of a crystal with the first member, which later stages use."""
    crystal = (probes.crystals(committee.frames()) or committee.frames())[0]
    start = probes.enlarge(crystal, STABILITY_ATOMS)
    kept = None
    if folder is not None:
        model = file_sha256(committee.folders[0] / "model.nequip.zip")
        arrays = (start.numbers, start.positions, start.cell.array)
        parts = [f"{model} {picoseconds} {seed}".encode(), *(each.tobytes() for each in arrays)]
        kept = stability.Kept(folder, hashlib.sha256(b" ".join(parts)).hexdigest())
    one = functools.partial(_stability_run, committee, start, picoseconds, seed, kept)
    if processes == 1:
        return [one(*condition) for condition in STABILITY_RUNS]
    # forked processes could not use a GPU
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin_process) as pool:
        return list(pool.map(one, *zip(*STABILITY_RUNS, strict=True)))


def _begin_process() -> None:
    """Begin one of several processes: their threads would wait for each other."""
    load_faster()
    import torch  # noqa: PLC0415  (seconds, and most gates need tables alone)

    torch.set_num_threads(1)


def _stability_run(
    committee: Committee,
    atoms: Atoms,
    picoseconds: float,
    seed: int,
    kept: stability.Kept | None,
    temperature_K: float,
    pressure_GPa: float | None,
) -> stability.Run:
    return stability.stability_run(
        committee.calculator(committee.folders[0]),
        atoms,
        temperature_K=temperature_K,
        pressure_GPa=pressure_GPa,
        picoseconds=picoseconds,
        rng=generator(seed, "potential", "stability", str(temperature_K), str(pressure_GPa)),
        kept=kept,
    )
