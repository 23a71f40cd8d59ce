"""How candidates of each kind of family are made: one function for each `generator`.

Each takes a `Draw` and the section of the family, and its result depends on nothing else. Options
that vary are drawn from a sequence that fills their ranges evenly, so
that any first part of a family covers them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from ase import Atoms

from glassml.campaign.config.configurations import (
    AnyFamily,
    Classical,
    Crystals,
    Dimers,
    FromFile,
    Glasses,
    IsolatedAtoms,
    Melts,
    Rotations,
    ShortPairs,
)
from glassml.campaign.errors import StructureError
from glassml.campaign.seeds import generator
from glassml.configurations.crystals import (
    deform,
    polymorph,
    random_shear,
    repeat,
    rotated_cristobalite,
    supercells,
)
from glassml.configurations.imported import imported
from glassml.configurations.lammps import MAX_SEED
from glassml.configurations.melts import Segment, random_start, relax, run_trajectory
from glassml.configurations.rattle import gaussian_rattle, monte_carlo_rattle
from glassml.configurations.screening import check_distances

_LIQUID_START_G_CM3 = 2.2
#: Of the box of an isolated atom, relative to its shortest: three different ones.
ISOLATED_EDGES = np.array([1.0, 1.04, 1.09])
_QUENCH_START_K = 4000.0
_PAIRS = (("Si", "O"), ("O", "O"), ("Si", "Si"))


@dataclass(frozen=True)
class Candidate:
    """A structure, what it is, and what it must not be separated from."""

    atoms: Atoms
    config_type: str
    parent: str


@dataclass(frozen=True)
class Draw:
    """Which candidate of a family is drawn, in which attempt, from the campaign's seed."""

    family: str
    index: int
    attempt: int
    seed: int

    def parent(self, snapshots: int) -> tuple[int, int, str]:
        """Give the numbers of the trajectory and of the snapshot on it, and the parent's name."""
        number, snapshot = divmod(self.index, snapshots)
        return number, snapshot, f"{self.family}/{number:05d}"


def crystal(draw: Draw, section: Crystals) -> Candidate:
    """Make an ideal, strained or rattled polymorph; copies of one deformed cell share a parent."""
    family, seed, names = draw.family, draw.seed, section.polymorphs
    name = names[draw.index % len(names)]
    turn = draw.index // len(names)
    primitive = polymorph(name)
    if section.ideal and turn == 0:
        return Candidate(primitive, "crystal", f"{family}/{name}/ideal")
    cell, copy = divmod(turn - int(section.ideal), section.copies_per_cell)
    parent = f"{family}/{name}/{cell:05d}"
    rng = generator(seed, "configurations", parent)
    sizes = supercells(primitive, *section.atoms)
    supercell = repeat(primitive, sizes[int(rng.integers(len(sizes)))])
    (change,) = _spread(seed, f"{family}/{name}", cell, [section.volume_change])
    deformed = deform(supercell, change, random_shear(rng, section.shear_max * rng.random()))
    if copy == 0 and rng.random() < section.strained_fraction:
        return Candidate(deformed, "strained", parent)
    rng = generator(seed, "configurations", family, draw.index, draw.attempt)
    width = float(rng.choice(list(section.rattle_widths_A)))
    # What came out too close the first time is rattled by moves that keep atoms apart.
    if draw.attempt > 0 or rng.random() < section.monte_carlo_fraction:
        limits = section.shortest_distances.limits()
        rattled = monte_carlo_rattle(deformed, width, limits, rng)
    else:
        rattled = gaussian_rattle(deformed, width, rng)
    return Candidate(rattled, "rattled", parent)


def rotation(draw: Draw, section: Rotations) -> Candidate:
    """Turn the tetrahedra of cristobalite to the next angle; all share a parent."""
    angle = section.first_angle_deg + draw.index * section.angle_step_deg
    turned = rotated_cristobalite(angle, section.bond_A)
    return Candidate(turned, "strained", f"{draw.family}/alpha_cristobalite/turned")


def melt(draw: Draw, section: Melts) -> Candidate:
    """Take a snapshot of a liquid at its temperature and pressure."""
    number, _, parent = draw.parent(section.snapshots)
    ranges = [section.temperature_K, section.pressure_GPa]
    temperature, pressure = _spread(draw.seed, draw.family, number, ranges)
    hold = Segment(section.hold_ps, (temperature, temperature), (pressure, pressure), keep=True)
    frame = _snapshot(draw, section, _LIQUID_START_G_CM3, [hold] * section.snapshots)
    return Candidate(frame, "liquid", parent)


def glass(draw: Draw, section: Glasses) -> Candidate:
    """Take a snapshot of a glass: quenched, or on a path of compression and release."""
    number, _, parent = draw.parent(section.snapshots)
    slowest, fastest = section.rate_K_per_ps
    ranges = [
        (np.log(slowest), np.log(fastest)),
        section.temperature_K,
        section.density_g_cm3 or (_LIQUID_START_G_CM3, _LIQUID_START_G_CM3),
        section.pressure_GPa,
        section.hot_temperature_K,
    ]
    drawn = _spread(draw.seed, draw.family, number, ranges)
    log_rate, temperature, density, pressure, hot = drawn
    segments = glass_path(
        section.path,
        rate_K_per_ps=float(np.exp(log_rate)),
        temperature_K=temperature,
        constant_volume=section.density_g_cm3 is not None,
        pressure_GPa=pressure,
        hot_temperature_K=hot,
        compression_ps=section.compression_ps,
        snapshots=section.snapshots,
    )
    config_type = {
        "quenched": "glass",
        "cold": "compressed",
        "hot": "hot_compressed",
        "released_cold": "decompressed",
        "released_hot": "decompressed",
    }[section.path]
    return Candidate(_snapshot(draw, section, density, segments), config_type, parent)


def glass_path(
    path: str,
    *,
    rate_K_per_ps: float,
    temperature_K: float = 300.0,
    constant_volume: bool = False,
    pressure_GPa: float = 0.0,
    hot_temperature_K: float = 300.0,
    compression_ps: float = 1.0,
    snapshots: int,
) -> list[Segment]:
    """List the segments after the melt: quench, compression, release, with `snapshots` kept.

    `quenched` keeps frames on cooling from 1500 K to the final temperature, the last at its end;
    compressions keep frames at equal steps of pressure up to the highest, releases on the way down
    to 0 GPa. The hot paths compress at the hot temperature and cool under pressure; the last
    frame of `hot` is the cooled one.
    """
    ambient = None if constant_volume else (0.0, 0.0)
    hot = path in {"hot", "released_hot"}
    end = hot_temperature_K if hot else temperature_K
    segments = [Segment(0.5, (_QUENCH_START_K, _QUENCH_START_K), ambient)]
    if path == "quenched":
        levels = np.linspace(min(1500.0, _QUENCH_START_K), end, snapshots).tolist()
        levels = [end] if snapshots == 1 else levels
        return segments + _cool([_QUENCH_START_K, *levels], rate_K_per_ps, ambient)
    segments += _cool([_QUENCH_START_K, end], rate_K_per_ps, ambient, keep=False)
    released = path.startswith("released")
    kept = 0 if released else snapshots - int(hot)
    segments += _press(0.0, pressure_GPa, end, compression_ps, max(kept, 1), keep=kept > 0)
    if hot:
        under = (pressure_GPa, pressure_GPa)
        segments += _cool([end, temperature_K], rate_K_per_ps, under, keep=not released)
    if released:
        segments += _press(pressure_GPa, 0.0, temperature_K, compression_ps, snapshots, keep=True)
    return segments


def short_pair(draw: Draw, section: ShortPairs) -> Candidate:
    """Push one pair of neighbours in a quenched glass to a short distance along their line."""
    segments = glass_path("quenched", rate_K_per_ps=3000.0, snapshots=section.snapshots)
    frame = _snapshot(draw, section, _LIQUID_START_G_CM3, segments)
    pair, target = _short_distance(draw, section)
    rng = generator(draw.seed, "configurations", draw.family, draw.index, "pair", draw.attempt)
    pushed = push_pair(frame, pair, target, rng)
    # Nor may any other pair come closer than the ranges allow.
    check_distances(
        pushed,
        {
            ("O", "Si"): section.Si_O_A[0] - 1e-6,
            ("O", "O"): section.O_O_A[0] - 1e-6,
            ("Si", "Si"): section.Si_Si_A[0] - 1e-6,
        },
    )
    return Candidate(pushed, "short_pair", draw.parent(section.snapshots)[2])


def _short_distance(draw: Draw, section: ShortPairs | Dimers) -> tuple[tuple[str, str], float]:
    """Give a pair of elements, taken in turn, and a distance in Å from its range."""
    turn, which = divmod(draw.index, len(_PAIRS))
    pair = _PAIRS[which]
    distances = (section.Si_O_A, section.O_O_A, section.Si_Si_A)[which]
    (distance,) = _spread(draw.seed, f"{draw.family}/{'-'.join(pair)}", turn, [distances])
    return pair, distance


def push_pair(
    atoms: Atoms, pair: tuple[str, str], distance: float, rng: np.random.Generator
) -> Atoms:
    """Move a random nearest pair of two elements symmetrically to `distance` in Å.

    Raises
    ------
    StructureError
        If the structure has no such pair.
    """
    symbols = np.array(atoms.get_chemical_symbols())
    first = int(rng.choice(np.flatnonzero(symbols == pair[0])))
    others = np.flatnonzero(symbols == pair[1])
    others = others[others != first]
    if len(others) == 0:
        raise StructureError(f"no {'-'.join(pair)} pair to push together")
    vectors = atoms.get_distances(first, others, mic=True, vector=True)
    nearest = int(np.argmin(np.linalg.norm(vectors, axis=1)))
    vector = vectors[nearest]
    shift = (1.0 - distance / np.linalg.norm(vector)) / 2 * vector
    pushed = atoms.copy()
    pushed.positions[first] += shift
    pushed.positions[others[nearest]] -= shift
    return pushed


def dimer(draw: Draw, section: Dimers) -> Candidate:
    """Put two atoms into a box, in a random direction."""
    pair, distance = _short_distance(draw, section)
    rng = generator(draw.seed, "configurations", draw.family, draw.index)
    direction = rng.normal(size=3)
    half = direction / np.linalg.norm(direction) * distance / 2
    box = section.box_A * np.array([1.0, 1.05, 1.1])
    atoms = Atoms(pair, positions=[box / 2 - half, box / 2 + half], cell=box, pbc=True)
    return Candidate(atoms, "dimer", f"{draw.family}/{'-'.join(pair)}")


def isolated_atom(draw: Draw, section: IsolatedAtoms) -> Candidate:
    """Put one atom into a box with three different edges; every turn the box grows by 0.5 Å."""
    turn, which = divmod(draw.index, len(section.symbols))
    symbol = section.symbols[which]
    box = (section.box_A + 0.5 * turn) * ISOLATED_EDGES
    atoms = Atoms(symbol, positions=[box / 2], cell=box, pbc=True)
    return Candidate(atoms, "isolated_atom", f"{draw.family}/{symbol}")


def from_file(draw: Draw, section: FromFile) -> Candidate:
    """Take frame `first + index` of a file, with its labels where they are asked for."""
    number = section.first + draw.index
    atoms = imported(section.path, number, file_format=section.file_format, labels=section.labels)
    if len(atoms) > section.atoms_max:
        raise StructureError(f"{len(atoms)} atoms; at most {section.atoms_max} are taken")
    kind = str(atoms.info.get("config_type", section.config_type))
    parent = str(atoms.info.get("parent", f"{draw.family}/{number:06d}"))
    return Candidate(atoms, kind, parent)


_GENERATORS: dict[str, Callable[..., Candidate]] = {
    "crystal": crystal,
    "rotation": rotation,
    "melt": melt,
    "glass": glass,
    "short_pair": short_pair,
    "dimer": dimer,
    "isolated_atom": isolated_atom,
    "file": from_file,
}


def candidate(draw: Draw, section: AnyFamily) -> Candidate:
    """Make a candidate of a family, by its `generator`."""
    return _GENERATORS[section.generator](draw, section)


def _spread(
    seed: int, name: str, index: int, ranges: Sequence[tuple[float, float]]
) -> tuple[float, ...]:
    """Give point `index` of a sequence that fills the box of `ranges` evenly.

    The additive recurrence of Roberts (2018) with a random offset: fractional parts of
    index/g, index/g², … with g the root of x^(d+1) = x + 1.
    """
    dimensions = len(ranges)
    root = 2.0
    for _ in range(60):
        root = (1.0 + root) ** (1.0 / (dimensions + 1))
    offset = generator(seed, "configurations", name, "spread").random(dimensions)
    fraction = (offset + (index + 1) * root ** -np.arange(1.0, dimensions + 1)) % 1.0
    low, high = np.array(ranges, dtype=float).T
    return tuple((low + (high - low) * fraction).tolist())


def _cool(
    levels: Sequence[float],
    rate_K_per_ps: float,
    pressure_GPa: tuple[float, float] | None,
    *,
    keep: bool = True,
) -> list[Segment]:
    pairs = pairwise(levels)
    return [
        Segment(max(abs(hot - cold) / rate_K_per_ps, 0.05), (hot, cold), pressure_GPa, keep)
        for hot, cold in pairs
    ]


def _press(
    start: float, end: float, temperature: float, duration_ps: float, steps: int, *, keep: bool
) -> list[Segment]:
    levels = np.linspace(start, end, steps + 1).tolist()
    return [
        Segment(duration_ps / steps, (temperature, temperature), (low, high), keep)
        for low, high in pairwise(levels)
    ]


def _snapshot(draw: Draw, section: Classical, density: float, segments: Sequence[Segment]) -> Atoms:
    """Run the trajectory of a parent, or take it from the cache, and finish one snapshot."""
    family, seed, attempt = draw.family, draw.seed, draw.attempt
    parent, snapshot, _ = draw.parent(section.snapshots)
    rng = generator(seed, "configurations", family, "trajectory", parent, attempt)
    melt_at = (section.melt_temperature_K, section.melt_temperature_K)
    frames = _trajectory(
        section.atoms[parent % len(section.atoms)],
        density,
        section.skew_max,
        (Segment(section.melt_ps, melt_at, None), *segments),
        section.potential,
        section.timestep_fs,
        int(rng.integers(1, MAX_SEED)),
    )
    frame = frames[snapshot].copy()
    rng = generator(seed, "configurations", family, "snapshot", parent, snapshot, attempt)
    if rng.random() < section.relaxed_fraction:
        frame = relax(frame, potential=section.potential)
    frame.set_cell(frame.cell[:] * section.bond_scale, scale_atoms=True)
    if section.rattle_width_A > 0:
        frame = gaussian_rattle(frame, section.rattle_width_A, rng)
    return frame


@lru_cache(maxsize=32)
def _trajectory(
    number: int,
    density: float,
    skew: float,
    segments: tuple[Segment, ...],
    potential: str,
    timestep_fs: float,
    seed: int,
) -> list[Atoms]:
    start = random_start(number, density, skew, np.random.default_rng(seed))
    return run_trajectory(start, segments, potential=potential, timestep_fs=timestep_fs, seed=seed)
