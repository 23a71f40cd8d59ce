"""Section `potential`: the NequIP model, its training, and the gates it must pass."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, model_validator

from glassml.campaign.config.base import Section, has_ended, package_file
from glassml.campaign.config.configurations import Polymorph
from glassml.campaign.config.dft import Functional
from glassml.campaign.trust import mistake

NAME = r"^[a-z][a-z0-9_]*$"
PositiveTemperature = Annotated[float, Field(gt=0.0, le=10000.0)]
Pressure = Annotated[float, Field(ge=-10.0, le=100.0)]
# What every potential is judged by; each is a command and a rule of its own.
GATES = ("calibration", "curves", "dimers", "errors", "stability")
PHONONS = "phonons"  # judged where `gates.phonons` names crystals
EQUATIONS = "equations"  # judged where `gates.equations` names labels
GLASSES = "glasses"  # judged where `gates.glasses` names labels
ROTATIONS = "rotations"  # judged where `gates.rotations` names labels


# Sizes of a neural network, and of the variants of it.
Cutoff = Annotated[float, Field(ge=2.5, le=10.0)]
Layers = Annotated[int, Field(ge=1, le=8)]
RotationOrder = Annotated[int, Field(ge=0, le=4)]
Features = Annotated[int, Field(ge=4, le=512)]


class Network(Section):
    """Size of the neural network. The defaults are small and fast, for a trial on a laptop."""

    cutoff_A: Cutoff = Field(default=4.5, description="Neighbours within this distance interact.")
    layers: Layers = Field(default=2, description="Message-passing layers.")
    l_max: RotationOrder = Field(default=1, description="Largest rotation order of features.")
    features: Features = Field(default=16, description="Features per rotation order.")
    parity: bool = Field(default=False, description="Also features of odd mirror parity.")
    radial_width: int = Field(default=32, ge=4, le=1024, description="Width of the radial layer.")
    bessels: int = Field(default=8, ge=4, le=32, description="Radial basis functions.")
    zbl: bool = Field(default=True, description="Add the ZBL repulsion of bare nuclei.")
    dtype: Literal["float32", "float64"] = Field(
        default="float32", description="Precision of the weights."
    )


class Training(Section):
    """How the weights are fitted."""

    batch_size: int = Field(default=4, ge=1, le=4096, description="Configurations per step.")
    learning_rate: float = Field(
        default=0.01, gt=0.0, le=1.0, description="At the start; it decays as a cosine."
    )
    optimizer: Literal["adam", "muon"] = Field(
        default="adam",
        description="Adam, or Muon for the matrices of the layers beside Adam for all else.",
    )
    max_epochs: int = Field(default=300, ge=1, description="Passes over the training set.")
    max_minutes: float = Field(
        default=4.0, gt=0.0, description="Training ends after this time, whatever the epoch."
    )
    patience_epochs: int = Field(
        default=100, ge=1, description="Training ends when so many epochs brought no improvement."
    )
    ema_decay: float = Field(
        default=0.99, ge=0.0, lt=1.0, description="Of the moving average of weights that is kept."
    )
    loss: Literal["squared", "huber"] = Field(
        default="squared",
        description="Errors count by their squares; or, beyond 3 meV/atom, 0.05 eV/Å and 0.1 GPa, "
        "by their sizes, so that liquids and short pairs do not decide.",
    )
    energy_weight: float = Field(
        default=1.0, ge=0.0, description="Of (eV/atom)² in the loss, over the first half."
    )
    force_weight: float = Field(default=1.0, ge=0.0, description="Of (eV/Å)² in the loss.")
    stress_weight: float = Field(
        default=10.0, ge=0.0, description="Of (eV/Å³)² in the loss, over the first half."
    )
    final_energy_weight: float = Field(
        default=500.0,
        ge=0.0,
        description="Of (eV/atom)² in the last quarter; it grows over the third.",
    )
    final_stress_weight: float = Field(
        default=3000.0,
        ge=0.0,
        description="Of (eV/Å³)² in the last quarter; it grows over the third.",
    )
    shifts: Literal["isolated_atoms", "least_squares"] = Field(
        default="isolated_atoms",
        description="Energy of an atom without neighbours: computed, or fitted to the labels.",
    )
    kernels: Literal["eager", "compile", "openequivariance"] = Field(
        default="eager",
        description="How the neural network is evaluated in training: as it is, by torch.compile "
        "(a minute or more to start, then faster), or with OpenEquivariance on a GPU.",
    )
    bagging: bool = Field(
        default=False, description="Each member trains on a bootstrap sample of the parents."
    )
    repeats: dict[Annotated[str, Field(pattern=NAME)], Annotated[int, Field(ge=2, le=100)]] = Field(
        default={},
        description="How many times the training labels of a config_type count, where more than "
        "once: of few labels that decide much, as crystals at rest.",
    )


class Variant(Section):
    """How a variant of the size search differs from `potential.model`."""

    cutoff_A: Cutoff | None = Field(
        default=None, description="Neighbours within this distance interact; default: as model."
    )
    layers: Layers | None = Field(
        default=None, description="Message-passing layers; default: as model."
    )
    l_max: RotationOrder | None = Field(
        default=None, description="Largest rotation order of features; default: as model."
    )
    features: Features | None = Field(
        default=None, description="Features per rotation order; default: as model."
    )
    zbl: bool | None = Field(
        default=None, description="Add the ZBL repulsion of bare nuclei; default: as model."
    )


class Search(Section):
    """Neural networks of several sizes, trained alike: accuracy against speed."""

    variants: dict[Annotated[str, Field(pattern=NAME)], Variant] = Field(
        default={
            "model": Variant(),
            "cutoff_4": Variant(cutoff_A=4.0),
            "cutoff_5": Variant(cutoff_A=5.0),
            "cutoff_6": Variant(cutoff_A=6.0),
            "scalars": Variant(l_max=0),
            "l_max_2": Variant(l_max=2),
            "layers_3": Variant(layers=3),
            "features_8": Variant(features=8),
            "features_32": Variant(features=32),
        },
        min_length=1,
        description="What each changes of `potential.model`.",
    )
    training: Training | None = Field(
        default=None, description="How all are trained; by default as `potential.training` says."
    )
    atoms: int = Field(default=192, ge=10, le=100_000, description="Box that times the variants.")
    glasses: list[Annotated[str, Field(pattern=NAME)]] = Field(
        default=[],
        description="Variants that also make the glasses of the first state of `md.states`: the "
        "table then has their density, FSDP and ring sizes.",
    )

    @model_validator(mode="after")
    def _check_glasses(self) -> "Search":
        if unknown := [name for name in self.glasses if name not in self.variants]:
            raise ValueError(
                f"glasses: {', '.join(unknown)}: no such variants; there are: "
                f"{', '.join(self.variants)}"
            )
        return self


class LearningCurve(Section):
    """The neural network of `potential.model`, trained on fewer labels with as many steps."""

    labels: list[Annotated[int, Field(ge=10)]] = Field(
        default=[100, 300, 1000],
        description="Numbers of training labels, each set within the next; all of them come last.",
    )

    def names(self) -> list[str]:
        """Give the names of the trainings: numbers in order, then "all"."""
        return [*map(str, sorted(set(self.labels))), "all"]


class ExplorationRun(Section):
    """Short dynamics from labelled configurations along a ramp."""

    start: list[Annotated[str, Field(pattern=NAME)]] = Field(
        min_length=1, description="Values of config_type to begin with."
    )
    temperature_K: Annotated[
        tuple[PositiveTemperature, PositiveTemperature], Field(description="At start and end.")
    ]
    pressure_GPa: tuple[Pressure, Pressure] = Field(
        default=(0.0, 0.0), description="At start and end."
    )


class Exploration(Section):
    """Active learning: a generation explores with its committee, and the next learns from it."""

    runs: dict[Annotated[str, Field(pattern=NAME)], ExplorationRun] = Field(
        default={
            "melt": ExplorationRun(start=["glass"], temperature_K=(300, 5000)),
            "quench": ExplorationRun(start=["liquid"], temperature_K=(4000, 300)),
            "cold": ExplorationRun(start=["glass"], temperature_K=(300, 300), pressure_GPa=(0, 25)),
            "hot": ExplorationRun(
                start=["glass"], temperature_K=(2000, 2000), pressure_GPa=(0, 25)
            ),
        },
        min_length=1,
        description="What is explored; each is a job of its own.",
    )
    trajectories: int = Field(default=4, ge=1, le=1000, description="Of each run.")
    duration_ps: float = Field(
        default=1.0, gt=0.0, le=1000.0, description="Of each trajectory, unless it is stopped."
    )
    check_steps: int = Field(
        default=10, ge=1, le=1000, description="The committee is asked after so many steps of 1 fs."
    )
    atoms_max: int = Field(
        default=40, ge=2, le=500, description="Largest cell to begin with: what labels can afford."
    )
    accurate_eV_A: float = Field(
        default=0.4,
        gt=0.0,
        description="Estimated error of the worst force below which all is well.",
    )
    failed_eV_A: float = Field(
        default=4.0, gt=0.0, description="Estimated error from which on a trajectory is stopped."
    )
    select: int = Field(
        default=32,
        ge=1,
        le=10_000,
        description="Configurations to label, at most, each generation.",
    )

    @model_validator(mode="after")
    def _check_bounds(self) -> "Exploration":
        if self.accurate_eV_A >= self.failed_eV_A:
            raise ValueError("accurate_eV_A must be below failed_eV_A: candidates lie between")
        return self


class Verification(Section):
    """How far a compiled model may be from its package, and forces from the energy's slope."""

    energy_meV_per_atom: float = Field(
        default=0.05, gt=0.0, description="Compiled against package."
    )
    force_eV_per_A: float = Field(default=0.0005, gt=0.0, description="Compiled against package.")
    stress_GPa: float = Field(default=0.005, gt=0.0, description="Compiled against package.")
    slope_relative: float = Field(
        default=0.005, gt=0.0, description="Forces and stress against energy differences."
    )
    drift_meV_per_atom_per_ps: float = Field(
        default=0.5, gt=0.0, description="Total energy's drift at constant volume, 300 K."
    )


class Phonons(Section):
    """Phonons of crystals by finite displacements, against labels of the displaced cells."""

    crystals: list[Polymorph] = Field(
        default=[], description="Each costs about ten labels; none: the gate is left out."
    )
    structures: str | None = Field(
        default=None,
        description="Labelled crystals at rest, extxyz, as `glassml dft polymorphs` writes them: "
        "that of lowest energy is taken; none: the measured structures, where forces are not zero.",
    )
    supercell: tuple[
        Annotated[int, Field(ge=1, le=6)],
        Annotated[int, Field(ge=1, le=6)],
        Annotated[int, Field(ge=1, le=6)],
    ] = Field(
        default=(1, 1, 1),
        description="Repeats of the unit cell; [1, 1, 1] gives the modes at the zone's centre.",
    )
    displacement_A: float = Field(
        default=0.03, gt=0.0, le=0.2, description="Of one atom at a time."
    )
    rms_THz: float = Field(
        default=0.7, gt=0.0, description="Root mean square error of the frequencies."
    )


class Equations(Section):
    """Equations of state of crystals against labels."""

    labels: str | None = Field(
        default=None,
        description="Labelled crystals at rest at several volumes, extxyz, as `glassml dft "
        "polymorphs` writes them; none: the gate is left out.",
    )
    volume_percent: float = Field(default=0.5, gt=0.0, description="Error of the volume.")
    modulus_percent: float = Field(default=5.0, gt=0.0, description="Error of the bulk modulus.")
    energy_meV_per_atom: float = Field(
        default=5.0, gt=0.0, description="Error of the energy above the first polymorph."
    )


class Glasses(Section):
    """Glasses at rest against labels."""

    labels: str | None = Field(
        default=None,
        description="Labelled glasses at rest, extxyz, as `glassml dft relax` writes them; none: "
        "the gate is left out.",
    )
    angle_deg: float = Field(default=1.0, gt=0.0, description="Error of the mean Si-O-Si angle.")
    volume_percent: float = Field(default=0.5, gt=0.0, description="Error of the volume.")


class Rotations(Section):
    """Crystals along a soft rotation against labels."""

    labels: str | None = Field(
        default=None,
        description="Labelled crystals along a soft rotation, extxyz; none: the gate is left out.",
    )
    energy_meV_per_atom: float = Field(
        default=1.0, gt=0.0, description="Error of the energy above that of the lowest label."
    )


class Gates(Section):
    """Up to here a potential is green; up to `amber_factor` times as much it is amber."""

    energy_mae_meV_per_atom: float = Field(default=3.0, gt=0.0, description="On test labels.")
    force_mae_eV_per_A: float = Field(default=0.10, gt=0.0, description="On test labels.")
    stress_mae_GPa: float = Field(default=0.2, gt=0.0, description="On test labels.")
    curve_meV_per_atom: float = Field(
        default=5.0, gt=0.0, description="Energy-volume curves of crystals against the labels."
    )
    dimer_hole_eV: float = Field(
        default=0.05, ge=0.0, description="Fall of the energy as two atoms approach below a bond."
    )
    dimer_reach_eV: float = Field(
        default=10.0,
        gt=0.0,
        description="What lies behind a rise by so much is out of reach; 10 eV is 23 kT at 5000 K.",
    )
    calibration_ratio: float = Field(
        default=3.0, gt=0.0, description="Force error over the committee's spread, on test labels."
    )
    stability_ps: float = Field(
        default=0.2, gt=0.0, le=1000.0, description="Length of each stability run."
    )
    equations: Equations = Equations()
    glasses: Glasses = Glasses()
    phonons: Phonons = Phonons()
    rotations: Rotations = Rotations()
    amber_factor: float = Field(default=2.0, ge=1.0, description="Width of the amber range.")


class Potential(Section):
    """A committee of NequIP potentials."""

    mode: Literal["scratch", "finetune", "given"] = Field(
        default="scratch",
        description="Train from scratch, fine-tune `package`, or use `package` as it is.",
    )
    package: str | None = Field(
        default=None,
        description="NequIP package (.nequip.zip); {member} in it is the number of the member.",
    )
    package_functional: Functional | None = Field(
        default=None,
        description="Functional of `package`, where it is not that of the labels: its energies "
        "are shifted to theirs, by a constant per element, before it is fine-tuned. A package "
        "whose energies are far from the labels' is refused without it.",
    )
    trust: tuple[Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")], ...] = Field(
        default=(),
        description="Packages to load beside those that ship and those that the campaign makes, as "
        "sha256:…: loading a package runs the code in it.",
    )
    committee: int = Field(
        default=4, ge=1, le=16, description="Number of members; 1 for one given package."
    )
    generations: int = Field(default=1, ge=1, le=10, description="Rounds of active learning.")
    model: Network = Network()
    training: Training = Training()
    compile: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Compile for the machine: auto uses the package itself where that fails.",
    )
    verification: Verification = Verification()
    gates: Gates = Gates()
    exploration: Exploration = Exploration()
    search: Search = Search()
    learning_curve: LearningCurve = LearningCurve()

    def gate_names(self) -> list[str]:
        """Give the names of the gates, in alphabetical order."""
        phonons = [PHONONS] if self.gates.phonons.crystals else []
        equations = [EQUATIONS] if self.gates.equations.labels else []
        glasses = [GLASSES] if self.gates.glasses.labels else []
        rotations = [ROTATIONS] if self.gates.rotations.labels else []
        return sorted([*GATES, *phonons, *equations, *glasses, *rotations])

    def variant(self, name: str) -> tuple[Network, Training]:
        """Give the neural network of a variant of the size search, and how it is trained."""
        changes = self.search.variants[name].model_dump(exclude_none=True)
        return self.model.model_copy(update=changes), self.search.training or self.training

    def package_of(self, member: int) -> str:
        """Give the path of the package that `member` starts from; empty when there is none."""
        return (self.package or "").replace("{member}", str(member))

    def packages(self) -> list[str]:
        """Give the paths of all packages that the committee starts from."""
        if self.package is None:
            return []
        return sorted({self.package_of(member) for member in range(self.committee)})

    @model_validator(mode="before")
    @classmethod
    def _count_one_package(cls, section: object) -> object:
        """Take a single given package for a committee of one, unless told otherwise."""
        if not isinstance(section, dict) or section.get("mode") != "given":
            return section
        several = "{member}" in str(section.get("package", ""))
        return section if several else {"committee": 1, **section}

    @model_validator(mode="after")
    def _check_generations(self) -> "Potential":
        if self.generations > 1 and self.mode == "given":
            raise ValueError("mode given trains nothing: use finetune, or set generations to 1")
        if self.generations > 1 and self.committee < 2:
            raise ValueError("generations learn from disagreement: set committee to 2 or more")
        return self

    @model_validator(mode="after")
    def _check_functional(self) -> "Potential":
        if self.package_functional is not None and self.mode != "finetune":
            raise ValueError(
                "package_functional is for mode finetune: nothing else shifts energies"
            )
        return self

    @model_validator(mode="after")
    def _check_package(self, info: ValidationInfo) -> "Potential":
        if self.mode == "scratch":
            if self.package is not None:
                raise ValueError("mode scratch starts from nothing: remove `package`")
            return self
        if self.package is None:
            raise ValueError(f"mode {self.mode} needs `package`: the path of a .nequip.zip file")
        if self.mode == "given" and self.committee > 1 and "{member}" not in self.package:
            raise ValueError(
                "a committee of one package would always agree: "
                "put {member} in the path, or set committee to 1"
            )
        for path in () if has_ended(info) else map(package_file, self.packages()):
            if untrusted := mistake(path, self.trust):
                raise ValueError(f"package: {untrusted}")
        return self
