"""Section `dft`: everything that determines a label, and how stubborn cases are retried."""

from typing import Literal

from pydantic import Field, field_validator

from glassml.campaign.config.base import Section
from glassml.campaign.config.configurations import Polymorph

# Elements are checked before any job; the setups of these come with gpaw-data.
SETUPS = """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se
    Br Kr Rb Sr Y Zr Nb Mo Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Hf Ta W Re Os Ir Pt Au Hg Tl
    Pb Bi Rn
"""
ELEMENTS_WITH_SETUPS = frozenset(SETUPS.split())

Functional = Literal["LDA", "PBE", "PBEsol", "RPBE", "revPBE", "SCAN", "r2SCAN", "TPSS"]
META_GGAS = frozenset({"SCAN", "r2SCAN", "TPSS"})


def setup_type(xc: str) -> str:
    """Name the functional of the setups: gpaw-data has LDA and PBE, which serves all others."""
    return "LDA" if xc == "LDA" else "PBE"


Recipe = Literal["standard", "slow_mixing", "smeared", "conjugate_gradient", "denser_kpoints"]


class Convergence(Section):
    """A study of how far the labels are from converged."""

    families: tuple[str, ...] = Field(
        default=(),
        description="The first configuration of each is calculated; empty for no study. Energy "
        "differences are taken to the first family.",
    )
    cutoff_eV: tuple[float, ...] = Field(
        default=(500.0, 600.0, 700.0, 800.0, 1000.0, 1200.0), description="Plane-wave cutoffs."
    )
    kpoint_spacing_per_A: tuple[float, ...] = Field(
        default=(2.0, 0.9, 0.6), description="k-point spacings."
    )
    density_tolerance: tuple[float, ...] = Field(
        default=(1e-3, 1e-5, 1e-6), description="SCF criteria of the density."
    )
    eigenstates_tolerance_eV2: tuple[float, ...] = Field(
        default=(4e-7, 1e-9), description="SCF criteria of the wave functions."
    )


class Polymorphs(Section):
    """Equations of state of crystals, which tell whether the labels are right."""

    names: tuple[Polymorph, ...] = Field(
        default=(), description="Relaxed at several volumes; empty for no study."
    )
    volume_step: float = Field(
        default=0.04,
        gt=0.005,
        le=0.1,
        description="Distance of volumes, relative to the measured one.",
    )
    fmax_eV_A: float = Field(
        default=0.03, gt=1e-4, le=0.5, description="Largest force of a relaxed structure."
    )


class Dft(Section):
    """Settings of GPAW in plane-wave mode."""

    xc: Functional = Field(
        default="r2SCAN",
        description="Exchange-correlation functional. Functionals other than LDA use PBE setups, "
        "which shifts all energies by a constant per atom. Meta-GGAs need a libxc that does not "
        "enforce the Fermi-hole curvature: `make setup` brings one.",
    )
    cutoff_eV: float = Field(
        default=900.0,
        ge=200.0,
        le=3000.0,
        description="Plane-wave cutoff. Forces converge at 400 eV, stress only near 900 eV.",
    )
    kpoint_spacing_per_A: float = Field(
        default=1.0,
        gt=0.05,
        le=10.0,
        description="Largest distance of k points along each reciprocal vector (2π included), "
        "in 1/Å: the grid has ceil(|b|/spacing) points along b.",
    )
    smearing_eV: float = Field(
        default=0.05, gt=0.0, le=1.0, description="Width of the Fermi-Dirac occupations."
    )
    density_tolerance: float = Field(
        default=1e-4,
        gt=0.0,
        le=1e-2,
        description="SCF: integrated change of the density, electrons per valence electron.",
    )
    energy_tolerance_eV: float = Field(
        default=5e-4, gt=0.0, le=0.1, description="SCF: change of energy, eV per valence electron."
    )
    eigenstates_tolerance_eV2: float = Field(
        default=4e-8, gt=0.0, le=1e-2, description="SCF: residual, eV² per valence electron."
    )
    max_iterations: int = Field(
        default=120, ge=5, le=1000, description="SCF iterations before a recipe counts as failed."
    )
    recipes: tuple[Recipe, ...] = Field(
        default=(
            "standard",
            "slow_mixing",
            "conjugate_gradient",
            "denser_kpoints",
            "smeared",
        ),
        min_length=1,
        description="Ladder for SCF failures: each is tried in turn, then the structure is set "
        "aside with its reason.",
    )
    max_atoms: int = Field(
        default=200, ge=1, description="Larger structures are set aside, not calculated."
    )
    max_minutes: float = Field(
        default=120.0, gt=0.0, description="Wall-clock limit of one configuration, all recipes."
    )
    shard_processes: int = Field(
        default=2, ge=1, description="Configurations of a shard that are labelled at once."
    )
    gpu: bool = Field(
        default=False,
        description="Calculate on a GPU, which takes CuPy and a GPAW built for GPUs: several "
        "shard_processes share it. Values agree with those of a CPU within the SCF criteria, and "
        "their keys are the same.",
    )
    convergence: Convergence = Convergence()
    polymorphs: Polymorphs = Polymorphs()
    seed_labels: tuple[str, ...] = Field(
        default=(),
        description="Labelled extxyz files that fill the store before anything is calculated.",
    )

    @field_validator("recipes")
    @classmethod
    def _check_recipes(cls, recipes: tuple[Recipe, ...]) -> tuple[Recipe, ...]:
        if len(set(recipes)) != len(recipes):
            raise ValueError("a recipe is named twice: trying it again changes nothing")
        return recipes

    def check_elements(self, elements: set[str]) -> None:
        """Refuse elements for which gpaw-data has no setup.

        Raises
        ------
        ValueError
            Naming the elements.
        """
        missing = sorted(elements - ELEMENTS_WITH_SETUPS)
        if missing:
            raise ValueError(f"no PAW setup for {', '.join(missing)} in gpaw-data")
