"""Jobs of dynamics: what the configuration and the files at hand make of a state of a glass."""

import argparse
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ase import Atoms

from glassml.campaign.config import Campaign, load_campaign
from glassml.campaign.config import states as configured
from glassml.campaign.config.md import ENGINES_OF_CONTROLS, Held, MolecularDynamics
from glassml.campaign.errors import GlassmlError, StructureError
from glassml.campaign.files import file_sha256, read_json
from glassml.campaign.seeds import derive_seed, generator
from glassml.md.guards import Limits
from glassml.md.outputs import read_final, read_restart, write_restart
from glassml.md.protocol import Coupling, Stage, differing, digest
from glassml.md.run import Job
from glassml.md.start import classical_start, maxwell_boltzmann, random_start

logger = logging.getLogger(__name__)


def load(args: argparse.Namespace, glass: str | None = None) -> Campaign:
    """Load the campaign, and refuse names and parents that do not fit it."""
    campaign = load_campaign(args.config)
    md = campaign.md
    md.check_state(args.state)
    if glass is not None:
        md.check_glass(glass)
    check_committee(md, args)
    parent = md.begins_with(args.state)
    glasses = md.glass_names() if glass is None else [glass]
    files = ["restart.npz", "record.json"] if parent else []
    wanted = {(each, file) for each in glasses for file in files}
    if {(path.parent.name, path.name) for path in args.parent} != wanted:
        raise GlassmlError(
            f"--parent: {args.state} comes from {parent or md.origin()} and needs "
            f"{' and '.join(files) or 'no files'} of {', '.join(glasses)}"
        )
    return campaign


def control(md: MolecularDynamics, args: argparse.Namespace) -> str | None:
    """Give the name of the published potential that is asked for, None for a NequIP package.

    Raises
    ------
    GlassmlError
        If the engine cannot move it, or the configuration names another.
    """
    name = str(args.potential)
    if md.potential not in ("trained", name):
        raise GlassmlError(f"--potential {name}: the configuration has md.potential {md.potential}")
    if name not in ENGINES_OF_CONTROLS:
        return None
    if md.engine not in ENGINES_OF_CONTROLS[name]:
        engines = " or ".join(ENGINES_OF_CONTROLS[name])
        raise GlassmlError(f"--potential {name}: needs md.engine {engines}, not {md.engine}")
    return name


def check_committee(md: MolecularDynamics, args: argparse.Namespace) -> None:
    """Refuse a guard without a committee to ask."""
    if md.guards.max_force_spread_eV_A is not None and not args.committee:
        raise GlassmlError(
            "guards: max_force_spread_eV_A needs --committee: packages of further members"
        )


def prepare(
    campaign: Campaign,
    args: argparse.Namespace,
    glass: str,
    described: Mapping[str, object],
    seed: int,
    folder: Path,
) -> tuple[Job, Atoms, str]:
    """Give what is run, where it begins, and why it cannot be run: empty where it can."""
    md = campaign.md
    parent = md.begins_with(args.state)
    why_not = ""
    if md.held is not None:
        atoms, origin, why_not = _go_on(md, md.held, args.state, glass)
    elif parent is None:
        temperature = md.states[args.state].stages[0].temperature_K
        starts = {path.parent.name: path for path in args.start}
        pressure = md.quench_pressure(args.state)
        if glass in starts:
            _check_start(starts[glass], args.state, pressure)
        atoms, origin = _begin(
            md, pressure, campaign.seed, glass, folder / "checkpoint", starts.get(glass)
        )
        rng = generator(campaign.seed, "md", args.state, glass, "velocities")
        maxwell_boltzmann(atoms, temperature[0] if temperature else 300.0, rng)
    else:
        came_from = {path.name: path for path in args.parent if path.parent.name == glass}
        atoms = read_restart(came_from["restart.npz"])
        origin = {"restart_sha256": file_sha256(came_from["restart.npz"])}
        why_not = why_skipped(came_from["record.json"], parent)
    job = Job(
        state=args.state,
        glass=glass,
        parent=parent,
        stages=build_stages(md, args.state),
        coupling=coupling(md),
        limits=limits(md),
        seed=campaign.seed,
        dynamics_seed=seed,
        origin=origin,
        potential=described,
        engine=md.engine,
    )
    return job, atoms, why_not


def _go_on(
    md: MolecularDynamics, held: Held, state: str, glass: str
) -> tuple[Atoms, dict[str, object], str]:
    """Give how a run of another campaign ended, which it was, and why it cannot be held on.

    Raises
    ------
    GlassmlError
        If it is another glass than the configuration says, or was made in another way.
    """
    path = held.final(state, glass)
    record = path.with_name("record.json")
    why_not = why_skipped(record, state)
    _check_same(read_json(record), md, state, f"held: {path.parent}")
    end = read_final(path)
    atoms = Atoms(end.symbols, positions=end.positions, cell=end.cell, pbc=True)
    atoms.set_momenta(end.get_momenta())
    return atoms, {"held": f"{state}/{glass}", "held_sha256": file_sha256(path)}, why_not


def _check_same(record: Mapping[str, Any], md: MolecularDynamics, state: str, where: str) -> None:
    """Refuse a run that is not what `states` say; its time step may be another."""
    if record["atoms"] != md.atoms:
        raise GlassmlError(f"{where}: has {record['atoms']} atoms, and md.atoms is {md.atoms}")
    if names := differing(record["protocol"], md.states[state].stages, _alike):
        raise GlassmlError(f"{where}: was run with other stages than states: {state} has ({names})")


def _alike(run: Mapping[str, Any], stage: configured.Stage) -> bool:
    """Tell whether a stage that was run is one of the configuration, to a time step."""
    same = all(run[field] == getattr(stage, field) for field in ("name", "ensemble"))
    for field in ("temperature_K", "pressure_GPa"):
        ends = getattr(stage, field)
        same &= run[field] == (None if ends is None else list(ends))
    missing = abs(run["steps"] * run["timestep_fs"] - 1000.0 * stage.length_ps())
    return bool(same and missing <= run["timestep_fs"])


def _check_start(path: Path, state: str, pressure_GPa: float) -> None:
    """Refuse a quench under another pressure, where the folder's name tells it."""
    named = re.fullmatch(r"(\d+(?:\.\d+)?)GPa", path.absolute().parents[1].name)
    if named and float(named[1]) != pressure_GPa:
        raise GlassmlError(
            f"--start: {path} was quenched under {named[1]} GPa, and {state} begins at "
            f"{pressure_GPa:g} GPa"
        )


def _begin(
    md: MolecularDynamics,
    pressure_GPa: float,
    seed: int,
    glass: str,
    folder: Path,
    start: Path | None,
) -> tuple[Atoms, dict[str, object]]:
    """Give the start of a melt, and what it depends on.

    A classical quench may take hours, so its end is kept beside the checkpoint.
    """
    origin = md.model_dump(mode="json", include={"start", "start_density_g_cm3", "atoms"})
    if md.start == "random":
        rng = generator(seed, "md", "start", glass)
        return random_start(md.composition, md.atoms, md.start_density_g_cm3, rng), origin
    origin["classical"] = md.classical.model_dump(mode="json") | {"pressure_GPa": pressure_GPa}
    if md.student is not None:
        origin["student"] = md.student.model_dump(mode="json")
    if start is not None:
        return read_restart(start), origin | {"start_sha256": file_sha256(start)}
    kept = folder / f"start_{digest(origin, seed, glass)[:16]}.npz"
    if not kept.exists():
        write_restart(kept, quench_glass(md, pressure_GPa, seed, glass))
    return read_restart(kept), origin


def quench_glass(md: MolecularDynamics, pressure_GPa: float, seed: int, glass: str) -> Atoms:
    """Melt and quench a glass under a pressure with a classical potential."""
    logger.info("classical melt and quench with %s", md.classical.potential)
    rng = generator(seed, "md", "start", glass)
    return classical_start(
        random_start(md.composition, md.atoms, md.start_density_g_cm3, rng),
        md.classical,
        pressure_GPa,
        derive_seed(seed, "md", "classical", glass),
    )


def why_skipped(parent_record: Path, parent: str) -> str:
    """Tell why a child cannot be run, or give an empty text where it can."""
    try:
        record = read_json(parent_record)
    except (OSError, ValueError) as error:
        raise StructureError(f"{parent_record}: cannot be read ({error}): run {parent}") from None
    if record["status"] == "finished":
        return ""
    reason = record["reason"]
    return reason if record["status"] == "skipped" else f"{parent} was stopped: {reason}"


def build_stages(md: MolecularDynamics, state: str) -> list[Stage]:
    """Give the stages of a state of the configuration, counted in time steps."""
    stages = []
    for stage in md.stages_of(state):
        timestep = stage.timestep_fs or md.timestep_fs
        stages.append(
            Stage(
                name=stage.name,
                ensemble=stage.ensemble,
                steps=round(stage.length_ps() * 1000.0 / timestep),
                timestep_fs=timestep,
                temperature_K=stage.temperature_K,
                pressure_GPa=stage.pressure_GPa,
                sample_every=round((stage.sample_every_fs or md.sample_every_fs) / timestep),
                frame_every=round((stage.frame_every_fs or md.frame_every_fs) / timestep),
            )
        )
    return stages


def coupling(md: MolecularDynamics) -> Coupling:
    """Give the time constants of the configuration."""
    return Coupling(md.thermostat_fs, md.barostat_fs, md.bulk_modulus_GPa)


def limits(md: MolecularDynamics) -> Limits:
    """Give the guards' limits of the configuration."""
    guards = md.guards
    return Limits(
        guards.temperature_ratio,
        guards.energy_jump_eV,
        guards.density_g_cm3,
        guards.min_distance_A,
        guards.max_force_spread_eV_A,
    )
