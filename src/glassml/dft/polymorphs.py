"""Equations of state, relaxed cells and relative energies of polymorphs, from labels.

Energies are taken at constant cutoff and a constant grid of k points for each polymorph, at fixed
volumes where positions and shape are relaxed, and E(V) is fitted. So the incomplete basis, which
falsifies the stress (Pulay stress), enters the volume by how it changes with volume only; the
pressure that the stress gives where E(V) says zero shows by how much the two differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.cell import Cell
from ase.units import GPa
from spglib import standardize_cell

from glassml.campaign.config.dft import Dft
from glassml.campaign.errors import StructureError
from glassml.campaign.store import LabelRecord, LabelStore
from glassml.campaign.units import density_g_cm3
from glassml.configurations.crystals import deform, polymorph
from glassml.configurations.generators import ISOLATED_EDGES
from glassml.dft.equation_of_state import fit
from glassml.dft.labels import label_key, labelled_atoms
from glassml.dft.measured import MEASURED, Measured
from glassml.dft.relaxation import Guide, Label, RelaxationError, relax_together
from glassml.dft.settings import kpoint_grid
from glassml.dft.shard import label_shard

# Steps of volume, from the measured one on: most functionals err upwards. The ends and the middle
# are relaxed first, and what they come to gives starts for the others, which are nearly at rest.
FIRST_STEPS = (-2, 1, 3)
NEXT_STEPS = (-1, 0, 2)
FARTHEST_STEPS = 8
ISOLATED_BOX_A = 9.0 * ISOLATED_EDGES
REFERENCE = "alpha_quartz"
COLUMNS = (
    "polymorph",
    "atoms",
    "kpoints",
    "volumes",
    "volume_A3_per_SiO2",
    "volume_error_A3_per_SiO2",
    "bulk_modulus_GPa",
    "bulk_modulus_error_GPa",
    "bulk_modulus_derivative",
    "energy_eV_per_SiO2",
    "energy_above_quartz_eV_per_SiO2",
    "fit_rms_meV_per_SiO2",
    "atomisation_energy_eV_per_SiO2",
    "pressure_by_stress_GPa",
    "a_A",
    "b_A",
    "c_A",
    "alpha_deg",
    "beta_deg",
    "gamma_deg",
    "density_g_cm3",
    "shortest_Si_O_A",
    "measured_volume_A3_per_SiO2",
    "measured_bulk_modulus_GPa",
    "measured_energy_above_quartz_eV_per_SiO2",
)
VOLUME_COLUMNS = (
    "polymorph",
    "volume_ratio",
    "volume_A3_per_SiO2",
    "energy_eV_per_SiO2",
    "pressure_by_stress_GPa",
    "steps",
)


@dataclass(frozen=True)
class Point:
    """A polymorph at rest at a volume.

    Attributes
    ----------
    volume_ratio
        Volume over the measured one.
    atoms
        The structure.
    record
        Its label.
    steps
        How many the relaxation took.
    """

    polymorph: str
    volume_ratio: float
    atoms: Atoms
    record: LabelRecord
    steps: int

    @property
    def units(self) -> int:
        """Give the number of SiO2 in the cell."""
        return len(self.atoms) // 3

    @property
    def volume(self) -> float:
        """Give the volume in Å³ per SiO2."""
        return float(self.atoms.get_volume()) / self.units

    @property
    def energy(self) -> float:
        """Give the energy in eV per SiO2."""
        return float(self.record["energy"]) / self.units

    @property
    def pressure(self) -> float:
        """Give the pressure in GPa by the stress."""
        return -float(np.array(self.record["stress"])[:3].mean()) / GPa


def study(
    names: Sequence[str],
    dft: Dft,
    store: LabelStore,
    *,
    volume_step: float,
    fmax_eV_A: float,
    processes: int = 1,
    guide: Guide | None = None,
) -> tuple[list[Point], list[Point], dict[str, float]]:
    """Relax polymorphs at volumes around their minimum, and at the minimum of the fit.

    Parameters
    ----------
    names
        Of polymorphs, see `glassml.configurations.crystals`.
    dft
        Section `dft` of a campaign.
    store
        Every calculation goes through it: a study that was stopped goes on where it was.
    volume_step
        Distance of volumes, relative to the measured volume. More are added until two lie on
        either side of the lowest energy.
    fmax_eV_A
        As for `Relaxation`.
    processes
        Structures at once.
    guide
        As for `relax_together`, as `glassml.dft.guide.package_guide` gives it.

    Returns
    -------
    points, minima : list of Point
        At the volumes of the scan, and one at the fitted volume of each polymorph.
    isolated : dict
        Energy in eV of the isolated atoms.
    """
    grids = {name: kpoint_grid(polymorph(name), dft.kpoint_spacing_per_A) for name in names}

    def label(structures: Sequence[Atoms]) -> Sequence[LabelRecord]:
        sections = [on_grid(atoms, grids[atoms.info["polymorph"]], dft) for atoms in structures]
        return label_shard(structures, sections, store, processes).records

    def relax(structures: Sequence[Atoms]) -> list[Point]:
        return _relax(structures, label, fmax_eV_A, guide)

    starts = [_start(name, 1.0 + volume_step * step) for name in names for step in FIRST_STEPS]
    points = relax(starts)
    more: list[Atoms] = []
    for name in names:
        mine = [point for point in points if point.polymorph == name]
        more += [between(mine, 1.0 + volume_step * step) for step in NEXT_STEPS]
    while more:
        points += relax(more)
        more = _missing(points, volume_step)
    points.sort(key=lambda point: (names.index(point.polymorph), point.volume_ratio))
    minima = []
    for name in names:
        mine = [point for point in points if point.polymorph == name]
        volume = fit([point.volume for point in mine], [point.energy for point in mine]).volume
        minima.append(between(mine, round(mine[0].volume_ratio * volume / mine[0].volume, 6)))
    symbols = ("O", "Si")
    boxes = [
        Atoms(s, positions=[ISOLATED_BOX_A / 2], cell=ISOLATED_BOX_A, pbc=True) for s in symbols
    ]
    isolated = {}
    for symbol, record in zip(
        symbols, label_shard(boxes, dft, store, processes).records, strict=True
    ):
        if record["status"] != "converged":
            raise RelaxationError(f"{symbol} alone: {record['status']}: {record['reason']}")
        isolated[symbol] = float(record["energy"])
    return points, relax(minima), isolated


def on_grid(atoms: Atoms, grid: tuple[int, int, int], dft: Dft) -> Dft:
    """Give section `dft` with the spacing of k points that makes `grid` of this cell.

    Raises
    ------
    StructureError
        If there is none, since the cell is too different from that of the grid.
    """
    one = 2 * np.pi * np.linalg.norm(atoms.cell.reciprocal(), axis=1) / np.array(grid)
    spacing = float(one.max())
    if kpoint_grid(atoms, spacing) != grid:
        raise StructureError(f"no spacing of k points gives the grid {grid} in {atoms.cell!r}")
    return dft.model_copy(update={"kpoint_spacing_per_A": spacing})


def between(points: Sequence[Point], ratio: float) -> Atoms:
    """Estimate the structure at a volume from those at rest at others.

    Parameters
    ----------
    points
        Of one polymorph; a parabola goes through the cells and the fractional coordinates of the
        three nearest.
    ratio
        Volume over the measured one.
    """
    nearest = sorted(points, key=lambda point: abs(point.volume_ratio - ratio))[:3]
    at = np.array([point.volume_ratio for point in nearest])
    # Lagrange's polynomials.
    weights = [
        np.prod([(ratio - other) / (one - other) for other in at if other != one]) for one in at
    ]
    atoms = nearest[0].atoms.copy()
    cells = [point.atoms.cell[:] for point in nearest]
    fractions = [point.atoms.get_scaled_positions(wrap=False) for point in nearest]
    cell = np.tensordot(weights, cells, axes=1)
    volume = nearest[0].atoms.get_volume() * ratio / at[0]
    atoms.set_cell(cell * (volume / abs(np.linalg.det(cell))) ** (1 / 3))
    atoms.set_scaled_positions(np.tensordot(weights, fractions, axes=1))
    atoms.info = _info(nearest[0].polymorph, ratio)
    return atoms


def conventional_cell(name: str, atoms: Atoms) -> np.ndarray:
    """Give lengths (Å) and angles (degrees) of the conventional cell of a deformed polymorph.

    It is the cell that spglib takes as the standard one of the undeformed polymorph, carried along.
    For coesite that is another choice of the c axis than the usual one.
    """
    ideal = polymorph(name)
    standard = standardize_cell(
        (ideal.cell[:], ideal.get_scaled_positions(), ideal.numbers), no_idealize=True
    )
    if standard is None:
        raise StructureError(f"{name}: spglib finds no conventional cell")
    return Cell(standard[0] @ np.linalg.inv(ideal.cell[:]) @ atoms.cell[:]).cellpar()


def table(
    points: Sequence[Point], minima: Sequence[Point], isolated: Mapping[str, float]
) -> list[dict[str, object]]:
    """Sum up each polymorph: one row with `COLUMNS`.

    The energy above alpha-quartz is empty where that was not studied.
    """
    curves = {}
    for minimum in minima:
        mine = [point for point in points if point.polymorph == minimum.polymorph]
        curves[minimum.polymorph] = fit(
            [point.volume for point in mine], [point.energy for point in mine]
        )
    rows = []
    for minimum in minima:
        name, curve = minimum.polymorph, curves[minimum.polymorph]
        cell = conventional_cell(name, minimum.atoms)
        lengths = ("a_A", "b_A", "c_A", "alpha_deg", "beta_deg", "gamma_deg")
        atoms = isolated["Si"] + 2 * isolated["O"]
        above = f"{curve.energy - curves[REFERENCE].energy:.5f}" if REFERENCE in curves else ""
        distances = minimum.atoms.get_all_distances(mic=True)
        silicon = minimum.atoms.symbols == "Si"
        values = {
            "polymorph": name,
            "atoms": len(minimum.atoms),
            "kpoints": "x".join(map(str, minimum.record["settings"]["kpoints"])),
            "volumes": sum(point.polymorph == name for point in points),
            "volume_A3_per_SiO2": f"{curve.volume:.4f}",
            "volume_error_A3_per_SiO2": f"{curve.volume_error:.4f}",
            "bulk_modulus_GPa": f"{curve.modulus:.2f}",
            "bulk_modulus_error_GPa": f"{curve.modulus_error:.2f}",
            "bulk_modulus_derivative": f"{curve.derivative:.2f}",
            "energy_eV_per_SiO2": f"{curve.energy:.5f}",
            "energy_above_quartz_eV_per_SiO2": above,
            "fit_rms_meV_per_SiO2": f"{1000 * curve.rms_eV:.3f}",
            "atomisation_energy_eV_per_SiO2": f"{atoms - curve.energy:.4f}",
            "pressure_by_stress_GPa": f"{minimum.pressure:.3f}",
            "density_g_cm3": f"{density_g_cm3(minimum.atoms):.4f}",
            "shortest_Si_O_A": f"{distances[silicon][:, ~silicon].min():.4f}",
        }
        values |= {key: f"{value:.4f}" for key, value in zip(lengths, cell, strict=True)}
        values |= _measured(name)
        rows.append(values)
    return rows


def volume_rows(points: Sequence[Point]) -> list[dict[str, object]]:
    """List volume, energy and pressure of points: rows with `VOLUME_COLUMNS`."""
    return [
        {
            "polymorph": point.polymorph,
            "volume_ratio": f"{point.volume_ratio:.6f}",
            "volume_A3_per_SiO2": f"{point.volume:.5f}",
            "energy_eV_per_SiO2": f"{point.energy:.6f}",
            "pressure_by_stress_GPa": f"{point.pressure:.4f}",
            "steps": point.steps,
        }
        for point in points
    ]


def labelled(points: Sequence[Point]) -> list[Atoms]:
    """Give the structures of points as labelled configurations of a family `polymorphs`.

    Beside what all configurations have, `info` has ``polymorph`` and ``volume_ratio``.
    """
    frames = []
    for number, point in enumerate(points):
        key = label_key(point.atoms, point.record["settings"])
        atoms = labelled_atoms(point.atoms, key, point.record)
        atoms.info |= {
            "config_type": "crystal",
            "family": "polymorphs",
            "parent": f"polymorphs/{point.polymorph}/{number:05d}",
            "config_id": f"polymorphs/{number:06d}",
            "polymorph": point.polymorph,
            "volume_ratio": point.volume_ratio,
        }
        frames.append(atoms)
    return frames


def _measured(name: str) -> dict[str, str]:
    """Give what was measured of a polymorph; empty where nothing was."""
    ideal = polymorph(name)
    known = MEASURED.get(name, Measured(None, None, ""))
    values = {
        "measured_volume_A3_per_SiO2": 3 * ideal.get_volume() / len(ideal),
        "measured_bulk_modulus_GPa": known.bulk_modulus,
        "measured_energy_above_quartz_eV_per_SiO2": known.enthalpy,
    }
    return {key: "" if value is None else f"{value:.4f}" for key, value in values.items()}


def _start(name: str, ratio: float) -> Atoms:
    atoms = deform(polymorph(name), ratio - 1.0, np.zeros((3, 3)))
    atoms.info = _info(name, ratio)
    return atoms


def _info(name: str, ratio: float) -> dict[str, object]:
    """Tell which polymorph it is at which volume; messages name it by its `config_id`."""
    return {
        "config_id": f"{name} at {ratio:.3f} of the measured volume",
        "polymorph": name,
        "volume_ratio": ratio,
    }


def _missing(points: Sequence[Point], step: float) -> list[Atoms]:
    """Give starts at volumes that lack: two on either side of the lowest energy."""
    starts = []
    for name in dict.fromkeys(point.polymorph for point in points):
        mine = {
            round((point.volume_ratio - 1.0) / step): point
            for point in points
            if point.polymorph == name
        }
        lowest = min(mine, key=lambda key: mine[key].energy)
        wanted = [k for k in range(lowest - 2, lowest + 3) if k not in mine]
        for k in wanted:
            if abs(k) > FARTHEST_STEPS:
                raise RelaxationError(f"{name}: no minimum of E(V) near the measured volume")
            starts.append(between(list(mine.values()), 1.0 + step * k))
    return starts


def _relax(
    starts: Sequence[Atoms], label: Label, fmax_eV_A: float, guide: Guide | None = None
) -> list[Point]:
    relaxed = relax_together(starts, label, fmax_eV_A=fmax_eV_A, guide=guide)
    for start, item in zip(starts, relaxed, strict=True):
        if item.reason:
            raise RelaxationError(f"{start.info['polymorph']}: {item.reason}")
    return [
        Point(
            start.info["polymorph"],
            start.info["volume_ratio"],
            item.result(),
            item.record,
            item.steps,
        )
        for start, item in zip(starts, relaxed, strict=True)
    ]
