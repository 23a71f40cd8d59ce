"""Section `configurations`: which structures are made, how many, from which seed."""

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from glassml.campaign.config.base import Section, Share

Polymorph = Literal[
    "alpha_quartz",
    "beta_quartz",
    "alpha_cristobalite",
    "beta_cristobalite",
    "tridymite",
    "coesite",
    "stishovite",
    "seifertite",
    "moganite",
    "keatite",
    "sodalite",
    "chabazite",
]
Element = Literal["Si", "O"]


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"the lower bound comes first: [{bounds[1]}, {bounds[0]}]")
    return bounds


def _within(low: float, high: float) -> AfterValidator:
    def check(bounds: tuple[float, float]) -> tuple[float, float]:
        if not (low <= bounds[0] and bounds[1] <= high):
            raise ValueError(f"must lie between {low} and {high}")
        return bounds

    return AfterValidator(check)


def _relative_cost(atoms: float) -> float:
    """Give what the DFT of a cell costs, in units of 24 atoms.

    Measured with GPAW at 900 eV: 9 atoms 42 s, 12 atoms 71 s, 18 atoms 155 s, 24 atoms 130 s, 36
    atoms 280 s, 48 atoms 580 s; what small cells gain by size, they lose by k points.
    """
    return max(1.0, (atoms / 24.0) ** 2.2)


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
Temperatures = Annotated[Range, _within(10.0, 10000.0)]
Pressures = Annotated[Range, _within(-10.0, 100.0)]
Densities = Annotated[Range, _within(1.0, 7.0)]
Distances = Annotated[Range, _within(0.3, 10.0)]


class Pairs(Section):
    """One distance for each pair of elements."""

    Si_O_A: float = Field(default=1.25, gt=0.3, lt=3.0, description="Silicon and oxygen.")
    O_O_A: float = Field(default=1.70, gt=0.3, lt=3.0, description="Oxygen and oxygen.")
    Si_Si_A: float = Field(default=2.00, gt=0.3, lt=4.0, description="Silicon and silicon.")

    def limits(self) -> dict[tuple[str, str], float]:
        """Give the distances by alphabetically ordered pair of symbols, in Å."""
        return {("O", "Si"): self.Si_O_A, ("O", "O"): self.O_O_A, ("Si", "Si"): self.Si_Si_A}


class Family(Section):
    """What all families have in common."""

    count: int = Field(gt=0, le=1_000_000, description="Number of configurations.")
    oversample: int = Field(
        default=1,
        ge=1,
        le=20,
        description="Candidates per configuration; the most diverse of a shard are kept.",
    )
    attempts: int = Field(
        default=5, ge=1, le=100, description="Tries before a candidate is given up."
    )
    shortest_distances: Pairs = Field(
        default=Pairs(), description="Structures with closer atoms are refused."
    )
    duplicate_distance: float = Field(
        default=0.005,
        ge=0.0,
        le=10.0,
        description="Descriptor distance (dimensionless) below which two structures are the same.",
    )

    def elements(self) -> set[str]:
        """Give the chemical symbols that the family can contain."""
        return {"Si", "O"}

    def relative_cost(self) -> float:
        """Give what the DFT of a configuration costs, on average, in units of 24 atoms."""
        return 1.0

    def largest_cell(self) -> int:
        """Give the number of atoms of the largest cell; of files, which are not read, a guess."""
        return max(getattr(self, "atoms", (24,)))


class Crystals(Family):
    """Polymorphs: ideal, strained and rattled."""

    generator: Literal["crystal"]
    polymorphs: list[Polymorph] = Field(min_length=1, description="Taken in turn.")
    ideal: bool = Field(default=True, description="Begin with the ideal crystals.")
    atoms: tuple[int, int] = Field(
        default=(6, 36), description="Smallest and largest number of atoms of supercells."
    )
    volume_change: Annotated[Range, _within(-0.4, 0.5)] = Field(
        default=(-0.25, 0.12), description="Relative to the experimental volume."
    )
    shear_max: float = Field(
        default=0.08, ge=0.0, le=0.3, description="Largest volume-conserving strain component."
    )
    strained_fraction: Share = Field(
        default=0.15, description="Share of deformed cells without rattle."
    )
    rattle_widths_A: list[Annotated[float, Field(gt=0.0, le=0.5)]] = Field(
        default=[0.02, 0.05, 0.1, 0.15, 0.2],
        min_length=1,
        description="Standard deviations of the displacements per Cartesian component.",
    )
    monte_carlo_fraction: Share = Field(
        default=0.5,
        description="Share of rattles by Monte-Carlo moves that keep the shortest distances.",
    )
    copies_per_cell: int = Field(
        default=2, ge=1, le=20, description="Rattled copies that share a parent."
    )

    @field_validator("polymorphs")
    @classmethod
    def _check_repeats(cls, polymorphs: list[Polymorph]) -> list[Polymorph]:
        if len(set(polymorphs)) < len(polymorphs):
            raise ValueError("each polymorph once: they are taken in turn")
        return polymorphs

    @field_validator("atoms")
    @classmethod
    def _check_atoms(cls, atoms: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= atoms[0] <= atoms[1] <= 500:
            raise ValueError("expected [smallest, largest] with 1 ≤ smallest ≤ largest ≤ 500")
        return atoms

    def relative_cost(self) -> float:
        """Give what the DFT of a configuration costs, on average, in units of 24 atoms."""
        return _relative_cost(sum(self.atoms) / 2)


class Rotations(Family):
    """Cristobalite along its soft mode: regular tetrahedra that turn, bonds of one length."""

    generator: Literal["rotation"]
    first_angle_deg: float = Field(
        default=130.0, ge=120.0, le=175.0, description="Si-O-Si angle of the first."
    )
    angle_step_deg: float = Field(
        default=2.5, gt=0.0, le=55.0, description="From one to the next, up to 175°."
    )
    bond_A: float = Field(default=1.61, gt=1.4, lt=1.9, description="Si-O distance.")

    @model_validator(mode="after")
    def _check_last(self) -> "Rotations":
        last = self.first_angle_deg + (self.count - 1) * self.angle_step_deg
        if last > 175.0:
            raise ValueError(f"count: the last Si-O-Si angle would be {last:g}°, at most 175")
        return self

    def relative_cost(self) -> float:
        """Give what the DFT of a configuration costs, on average, in units of 24 atoms."""
        return _relative_cost(12)


class Classical(Family):
    """Families made by molecular dynamics with a classical pair potential in LAMMPS."""

    atoms: list[Annotated[int, Field(ge=6, le=300, multiple_of=3)]] = Field(
        default=[24], min_length=1, description="Numbers of atoms of the cells, taken in turn."
    )
    potential: Literal["shik", "chik"] = Field(default="shik", description="Pair potential.")
    snapshots: int = Field(
        default=2, ge=1, le=50, description="Configurations of a trajectory; they share a parent."
    )
    timestep_fs: float = Field(default=1.0, gt=0.05, le=2.0, description="Of the classical MD.")
    melt_temperature_K: float = Field(
        default=6000.0, ge=3000.0, le=10000.0, description="Where the random start is melted."
    )
    melt_ps: float = Field(default=2.0, gt=0.1, le=1000.0, description="Duration of the melting.")
    skew_max: float = Field(
        default=0.2,
        ge=0.0,
        le=0.4,
        description="Largest deviation of the cell from a cube: edges and tilts, relative.",
    )
    bond_scale: float = Field(
        default=1.0,
        gt=0.9,
        lt=1.1,
        description="Factor on all lengths of the snapshots, to fit the bonds of DFT.",
    )
    relaxed_fraction: Share = Field(
        default=0.0,
        description="Share of snapshots that are quenched to a minimum, then rattled.",
    )
    rattle_width_A: float = Field(
        default=0.0, ge=0.0, le=0.3, description="Gaussian rattle of every snapshot."
    )

    def relative_cost(self) -> float:
        """Give what the DFT of a configuration costs, on average, in units of 24 atoms."""
        return sum(map(_relative_cost, self.atoms)) / len(self.atoms)


class Melts(Classical):
    """Liquids at a temperature and a pressure."""

    generator: Literal["melt"]
    temperature_K: Temperatures = Field(default=(2000.0, 6000.0), description="Of the liquid.")
    pressure_GPa: Pressures = Field(default=(-2.0, 30.0), description="Of the liquid.")
    hold_ps: float = Field(
        default=1.5, gt=0.05, le=1000.0, description="At temperature, before each snapshot."
    )


class Glasses(Classical):
    """Glasses by quench, and what compression makes of them."""

    generator: Literal["glass"]
    rate_K_per_ps: Annotated[Range, _within(1.0, 1e5)] = Field(
        default=(500.0, 3000.0), description="Cooling rate from 4000 K to the final temperature."
    )
    temperature_K: Temperatures = Field(
        default=(300.0, 300.0), description="At the end of the quench."
    )
    density_g_cm3: Densities | None = Field(
        default=None, description="Quench at constant density; without it, at zero pressure."
    )
    path: Literal["quenched", "cold", "hot", "released_cold", "released_hot"] = Field(
        default="quenched", description="What follows the quench; released: back to 0 GPa."
    )
    pressure_GPa: Pressures = Field(
        default=(0.0, 25.0), description="Highest pressure of the path; not for `quenched`."
    )
    hot_temperature_K: Temperatures = Field(
        default=(1000.0, 2500.0), description="At which the hot paths compress."
    )
    compression_ps: float = Field(
        default=3.0, gt=0.1, le=1000.0, description="Duration of a compression or release."
    )


class ShortPairs(Classical):
    """Glass cells in which one pair is pushed together: the repulsive wall."""

    generator: Literal["short_pair"]
    Si_O_A: Distances = Field(default=(1.0, 1.5), description="Distances of the pair.")
    O_O_A: Distances = Field(default=(1.1, 2.1), description="Distances of the pair.")
    Si_Si_A: Distances = Field(default=(1.6, 2.6), description="Distances of the pair.")


class Dimers(Family):
    """Two atoms in a box."""

    generator: Literal["dimer"]
    Si_O_A: Distances = Field(default=(1.0, 2.0), description="Distances of the pair.")
    O_O_A: Distances = Field(default=(0.9, 2.0), description="Distances of the pair.")
    Si_Si_A: Distances = Field(default=(1.4, 3.0), description="Distances of the pair.")
    box_A: float = Field(default=8.0, ge=5.0, le=20.0, description="Shortest edge of the box.")


class IsolatedAtoms(Family):
    """One atom in a box whose edges differ, so that no symmetry is imposed."""

    generator: Literal["isolated_atom"]
    symbols: list[Element] = Field(
        default=["Si", "O"], min_length=1, description="Taken in turn; needs at least one of each."
    )
    box_A: float = Field(default=9.0, ge=6.0, le=20.0, description="Shortest edge of the box.")

    @model_validator(mode="after")
    def _check_count(self) -> "IsolatedAtoms":
        if self.count < len(self.symbols):
            raise ValueError(f"count must be at least {len(self.symbols)}: one box per symbol")
        return self

    def elements(self) -> set[str]:
        """Give the chemical symbols that the family can contain."""
        return set(self.symbols)


class LabelKeys(Section):
    """Names under which a file carries its labels, and what these are."""

    energy: str = Field(default="REF_energy", description="Total energy of the cell, eV.")
    forces: str = Field(default="REF_forces", description="Forces, eV/Å.")
    stress: str | None = Field(
        default="REF_stress",
        description="Stress, if there is any, in `stress_unit`; tension is positive.",
    )
    stress_unit: Literal["eV/A3", "GPa", "kbar"] = Field(
        default="eV/A3", description="Of the stress."
    )
    virial: str | None = Field(
        default=None,
        description="In place of a stress: virial of the cell, eV, 9 numbers; stress = -virial/V.",
    )
    xc: str | None = Field(
        default=None,
        description="Functional of the labels, where the file does not state it (manifest.json "
        "beside it, or REF_xc in its frames). It must be dft.xc.",
    )
    code: str | None = Field(
        default=None, description="Program that calculated them; needed with `xc`."
    )

    @model_validator(mode="before")
    @classmethod
    def _check_stress(cls, data: object) -> object:
        """Let a virial take the place of the stress that is there by default."""
        if isinstance(data, dict) and data.get("virial") is not None:
            if data.get("stress") not in (None, "REF_stress"):
                raise ValueError("name a stress or a virial, not both")
            data = {**data, "stress": None}
        return data

    @model_validator(mode="after")
    def _check_code(self) -> "LabelKeys":
        if self.xc is not None and self.code is None:
            raise ValueError(
                "xc needs code, the program that calculated the labels: energies of two programs "
                "have different zeros"
            )
        return self

    def named(self) -> list[str]:
        """Give the names that some frame must have: all but the stress that is a default."""
        optional = [] if self.stress in (None, "REF_stress") else [str(self.stress)]
        return [self.energy, self.forces, *optional, *([self.virial] if self.virial else [])]


class FromFile(Family):
    """Structures of a file in any format that ASE reads."""

    generator: Literal["file"]
    path: str = Field(min_length=1, description="The file, relative to the working directory.")
    file_format: str | None = Field(default=None, description="ASE's name, if the suffix lies.")
    first: int = Field(default=0, ge=0, description="Number of the first frame to take.")
    config_type: str = Field(
        default="imported", pattern=r"^[a-z][a-z0-9_]*$", description="Where the file has none."
    )
    labels: LabelKeys | None = Field(
        default=None, description="Import the file's labels instead of computing them."
    )
    atoms_max: int = Field(default=300, gt=0, description="Larger cells are refused.")


AnyFamily = Annotated[
    Crystals | Rotations | Melts | Glasses | ShortPairs | Dimers | IsolatedAtoms | FromFile,
    Field(discriminator="generator"),
]
FamilyName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Configurations(Section):
    """Families of structures to label."""

    shard_size: int = Field(
        default=8,
        gt=0,
        le=10000,
        description="Configurations per shard, for cells of up to 24 atoms: families of larger "
        "cells have fewer, so that all shards take about equally long. Changing it renumbers all "
        "shards.",
    )
    families: dict[FamilyName, AnyFamily] = Field(
        default={}, description="Name of each family, and how it is made."
    )

    @model_validator(mode="after")
    def _check_shards(self) -> "Configurations":
        for name in self.families:
            if self.shards(name) > 10000:
                raise ValueError(
                    f"families.{name}: {self.shards(name)} shards; at most 10000 can be numbered: "
                    "raise shard_size"
                )
        return self

    def shards(self, family: str) -> int:
        """Give the number of shards of `family`."""
        return math.ceil(self.families[family].count / self.family_shard_size(family))

    def family_shard_size(self, family: str) -> int:
        """Give the number of configurations per shard of `family`: it does not depend on counts."""
        return max(1, round(self.shard_size / self.families[family].relative_cost()))

    def all_shards(self) -> list[tuple[str, str]]:
        """List family and number, in four digits, of all shards."""
        return [
            (family, f"{shard:04d}")
            for family in self.families
            for shard in range(self.shards(family))
        ]

    def shard_section(self, family: str, shard: int) -> dict[str, object]:
        """Give all that a shard depends on: a larger count changes the last shard at most."""
        section = self.families[family].model_dump(mode="json", exclude={"count"})
        size = self.family_shard_size(family)
        first = shard * size
        last = min(first + size, self.families[family].count)
        return {"first": first, "last": last, **section}

    def elements(self) -> set[str]:
        """Give the chemical symbols that the families can contain."""
        return set().union(*(family.elements() for family in self.families.values()))
