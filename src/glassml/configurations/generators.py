"""How candidates of each kind of family are made: one function for each `generator`.

Each takes `(family, index, attempt, seed)` and the options of the family, and its result depends
on nothing else. Options that vary are drawn from a sequence that fills their ranges evenly, so
that any first part of a family covers them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from ase import Atoms

from glassml.campaign.errors import StructureError
from glassml.campaign.seeds import generator
from glassml.configurations.crystals import deform, polymorph, random_shear, repeat, supercells
from glassml.configurations.imported import imported
from glassml.configurations.melts import Segment, random_start, relax, run_trajectory
from glassml.configurations.rattle import gaussian_rattle, monte_carlo_rattle
from glassml.configurations.screening import Limits, check_distances

_LIQUID_START_G_CM3 = 2.2
_QUENCH_START_K = 4000.0
_PAIRS = (("Si", "O"), ("O", "O"), ("Si", "Si"))


@dataclass(frozen=True)
class Candidate:
    """A structure, what it is, and what it must not be separated from."""

    atoms: Atoms
    config_type: str
    parent: str


def crystal(
    family: str,
    index: int,
    attempt: int,
    seed: int,
    *,
    polymorphs: Sequence[str],
    ideal: bool,
    atoms: tuple[int, int],
    volume_change: tuple[float, float],
    shear_max: float,
    strained_fraction: float,
    rattle_widths_A: Sequence[float],
    monte_carlo_fraction: float,
    copies_per_cell: int,
    limits: Limits,
) -> Candidate:
    """Make an ideal, strained or rattled polymorph; copies of one deformed cell share a parent."""
    name = polymorphs[index % len(polymorphs)]
    turn = index // len(polymorphs)
    primitive = polymorph(name)
    if ideal and turn == 0:
        return Candidate(primitive, "crystal", f"{family}/{name}/ideal")
    cell, copy = divmod(turn - int(ideal), copies_per_cell)
    parent = f"{family}/{name}/{cell:05d}"
    rng = generator(seed, "configurations", parent)
    sizes = supercells(primitive, *atoms)
    supercell = repeat(primitive, sizes[int(rng.integers(len(sizes)))])
    (change,) = _spread(seed, f"{family}/{name}", cell, [volume_change])
    deformed = deform(supercell, change, random_shear(rng, shear_max * rng.random()))
    if copy == 0 and rng.random() < strained_fraction:
        return Candidate(deformed, "strained", parent)
    rng = generator(seed, "configurations", family, index, attempt)
    width = float(rng.choice(list(rattle_widths_A)))
    # What came out too close the first time is rattled by moves that keep atoms apart.
    if attempt > 0 or rng.random() < monte_carlo_fraction:
        rattled = monte_carlo_rattle(deformed, width, limits, rng)
    else:
        rattled = gaussian_rattle(deformed, width, rng)
    return Candidate(rattled, "rattled", parent)


def melt(
    family: str,
    index: int,
    attempt: int,
    seed: int,
    *,
    temperature_K: tuple[float, float],
    pressure_GPa: tuple[float, float],
    hold_ps: float,
    snapshots: int,
    **options: Any,
) -> Candidate:
    """Take a snapshot of a liquid at its temperature and pressure."""
    parent, snapshot = divmod(index, snapshots)
    temperature, pressure = _spread(seed, family, parent, [temperature_K, pressure_GPa])
    hold = Segment(hold_ps, (temperature, temperature), (pressure, pressure), keep=True)
    frame = _snapshot(
        family, (parent, snapshot, attempt), seed, _LIQUID_START_G_CM3, [hold] * snapshots, options
    )
    return Candidate(frame, "liquid", f"{family}/{parent:05d}")


def glass(
    family: str,
    index: int,
    attempt: int,
    seed: int,
    *,
    rate_K_per_ps: tuple[float, float],
    temperature_K: tuple[float, float],
    density_g_cm3: tuple[float, float] | None,
    path: str,
    pressure_GPa: tuple[float, float],
    hot_temperature_K: tuple[float, float],
    compression_ps: float,
    snapshots: int,
    **options: Any,
) -> Candidate:
    """Take a snapshot of a glass: quenched, or on a path of compression and release."""
    parent, snapshot = divmod(index, snapshots)
    logarithms = (np.log(rate_K_per_ps[0]), np.log(rate_K_per_ps[1]))
    log_rate, temperature, density, pressure, hot = _spread(
        seed,
        family,
        parent,
        [
            logarithms,
            temperature_K,
            density_g_cm3 or (_LIQUID_START_G_CM3, _LIQUID_START_G_CM3),
            pressure_GPa,
            hot_temperature_K,
        ],
    )
    segments = glass_path(
        path,
        rate_K_per_ps=float(np.exp(log_rate)),
        temperature_K=temperature,
        constant_volume=density_g_cm3 is not None,
        pressure_GPa=pressure,
        hot_temperature_K=hot,
        compression_ps=compression_ps,
        snapshots=snapshots,
    )
    frame = _snapshot(family, (parent, snapshot, attempt), seed, density, segments, options)
    config_type = {
        "quenched": "glass",
        "cold": "compressed",
        "hot": "hot_compressed",
        "released_cold": "decompressed",
        "released_hot": "decompressed",
    }[path]
    return Candidate(frame, config_type, f"{family}/{parent:05d}")


def glass_path(
    path: str,
    *,
    rate_K_per_ps: float,
    temperature_K: float,
    constant_volume: bool,
    pressure_GPa: float,
    hot_temperature_K: float,
    compression_ps: float,
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


def short_pair(
    family: str,
    index: int,
    attempt: int,
    seed: int,
    *,
    Si_O_A: tuple[float, float],
    O_O_A: tuple[float, float],
    Si_Si_A: tuple[float, float],
    snapshots: int,
    **options: Any,
) -> Candidate:
    """Push one pair of neighbours in a quenched glass to a short distance along their line."""
    parent, snapshot = divmod(index, snapshots)
    segments = glass_path(
        "quenched",
        rate_K_per_ps=3000.0,
        temperature_K=300.0,
        constant_volume=False,
        pressure_GPa=0.0,
        hot_temperature_K=300.0,
        compression_ps=1.0,
        snapshots=snapshots,
    )
    frame = _snapshot(
        family, (parent, snapshot, attempt), seed, _LIQUID_START_G_CM3, segments, options
    )
    pair = _PAIRS[index % 3]
    distances = (Si_O_A, O_O_A, Si_Si_A)[index % 3]
    (target,) = _spread(seed, f"{family}/{'-'.join(pair)}", index // 3, [distances])
    rng = generator(seed, "configurations", family, index, "pair", attempt)
    pushed = push_pair(frame, pair, target, rng)
    # Nor may any other pair come closer than the ranges allow.
    check_distances(
        pushed,
        {
            ("O", "Si"): Si_O_A[0] - 1e-6,
            ("O", "O"): O_O_A[0] - 1e-6,
            ("Si", "Si"): Si_Si_A[0] - 1e-6,
        },
    )
    return Candidate(pushed, "short_pair", f"{family}/{parent:05d}")


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


def dimer(
    family: str,
    index: int,
    attempt: int,
    seed: int,
    *,
    Si_O_A: tuple[float, float],
    O_O_A: tuple[float, float],
    Si_Si_A: tuple[float, float],
    box_A: float,
    limits: Limits,
) -> Candidate:
    """Put two atoms into a box, in a random direction."""
    del attempt, limits
    pair = _PAIRS[index % 3]
    distances = (Si_O_A, O_O_A, Si_Si_A)[index % 3]
    (distance,) = _spread(seed, f"{family}/{'-'.join(pair)}", index // 3, [distances])
    rng = generator(seed, "configurations", family, index)
    direction = rng.normal(size=3)
    half = direction / np.linalg.norm(direction) * distance / 2
    box = box_A * np.array([1.0, 1.05, 1.1])
    atoms = Atoms(pair, positions=[box / 2 - half, box / 2 + half], cell=box, pbc=True)
    return Candidate(atoms, "dimer", f"{family}/{'-'.join(pair)}")


def isolated_atom(
    family: str,
    index: int,
    attempt: int,
    seed: int,
    *,
    symbols: Sequence[str],
    box_A: float,
    limits: Limits,
) -> Candidate:
    """Put one atom into a box with three different edges; every turn the box grows by 0.5 Å."""
    del attempt, seed, limits
    symbol = symbols[index % len(symbols)]
    box = (box_A + 0.5 * (index // len(symbols))) * np.array([1.0, 1.04, 1.09])
    atoms = Atoms(symbol, positions=[box / 2], cell=box, pbc=True)
    return Candidate(atoms, "isolated_atom", f"{family}/{symbol}")


def from_file(
    family: str,
    index: int,
    attempt: int,
    seed: int,
    *,
    path: str,
    file_format: str | None,
    first: int,
    config_type: str,
    labels: dict[str, str | None] | None,
    atoms_max: int,
    limits: Limits,
) -> Candidate:
    """Take frame `first + index` of a file, with its labels where they are asked for."""
    del attempt, seed, limits
    atoms = imported(path, first + index, file_format=file_format, labels=labels)
    if len(atoms) > atoms_max:
        raise StructureError(f"{len(atoms)} atoms; at most {atoms_max} are taken")
    kind = str(atoms.info.get("config_type", config_type))
    parent = str(atoms.info.get("parent", f"{family}/{first + index:06d}"))
    return Candidate(atoms, kind, parent)


GENERATORS: dict[str, Callable[..., Candidate]] = {
    "crystal": crystal,
    "melt": melt,
    "glass": glass,
    "short_pair": short_pair,
    "dimer": dimer,
    "isolated_atom": isolated_atom,
    "file": from_file,
}


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


def _snapshot(
    family: str,
    place: tuple[int, int, int],
    seed: int,
    density: float,
    segments: list[Segment],
    options: dict[str, Any],
) -> Atoms:
    """Run the trajectory of a parent, or take it from the cache, and finish one snapshot."""
    parent, snapshot, attempt = place
    sizes = options["atoms"]
    rng = generator(seed, "configurations", family, "trajectory", parent, attempt)
    melt_at = (options["melt_temperature_K"],) * 2
    frames = _trajectory(
        sizes[parent % len(sizes)],
        density,
        options["skew_max"],
        (Segment(options["melt_ps"], melt_at, None), *segments),
        options["potential"],
        options["timestep_fs"],
        int(rng.integers(1, 800_000_000)),
    )
    frame = frames[snapshot].copy()
    rng = generator(seed, "configurations", family, "snapshot", parent, snapshot, attempt)
    if rng.random() < options["relaxed_fraction"]:
        frame = relax(frame, potential=options["potential"])
    frame.set_cell(frame.cell[:] * options["bond_scale"], scale_atoms=True)
    if options["rattle_width_A"] > 0:
        frame = gaussian_rattle(frame, options["rattle_width_A"], rng)
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
