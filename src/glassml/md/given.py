"""Runs that were made elsewhere: what is kept of them, and how a campaign takes them up."""

import gzip
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms

from glassml.campaign.errors import GlassmlError
from glassml.campaign.extxyz import read_extxyz
from glassml.campaign.files import (
    atomic_path,
    read_json,
    write_gzip,
    write_json,
    write_text,
)
from glassml.campaign.h5md import box_edges
from glassml.md import MODULI_FILE
from glassml.md.checkpoint import Samples
from glassml.md.outputs import (
    read_final,
    read_trajectory,
    write_final,
    write_restart,
    write_trajectory,
)
from glassml.md.protocol import Stage, describe, differing

DECIMALS = 4


def export_run(folder: Path, output: Path) -> None:
    """Keep of a run what the structure and the report are made from, in a tenth of the space.

    Parameters
    ----------
    folder
        Of a run that finished, as `glassml.md` describes it.
    output
        Receives `GIVEN_FILES`: the record and the series as they are; the frames of the last stage,
        with positions rounded to 1e-4 Å and without velocities; the end, positions and momenta
        rounded likewise; and `moduli.json`, where there is one.

    Raises
    ------
    GlassmlError
        If the run did not finish.
    """
    text = (folder / "record.json").read_text(encoding="utf-8")
    record = json.loads(text)
    if record["status"] != "finished":
        raise GlassmlError(f"{folder}: the run is {record['status']}: {record['reason']}")
    write_text(output / "record.json", text)
    write_gzip(output / "series.csv.gz", (folder / "series.csv").read_bytes())
    final = next(ase.io.iread(folder / "final.extxyz"))
    final.arrays["momenta"] = final.arrays["momenta"].round(DECIMALS)
    frames = list(_last_stage(folder, record, final)) or [final]
    _write_frames(output / "frames.extxyz.gz", frames, ["symbols", "positions"])
    _write_frames(output / "final.extxyz.gz", [final], ["symbols", "positions", "momenta"])
    _copy_moduli(folder, output)


def read_finals(folder: Path) -> dict[str, Atoms]:
    """Read how the runs of a state ended, by glass: from runs, or from what `export_run` kept.

    Raises
    ------
    GlassmlError
        If there is none, or a file cannot be read.
    """
    finals = {}
    for path in sorted(folder.glob("*/final.extxyz*")):
        finals[path.parent.name] = read_final(path)
    if not finals:
        raise GlassmlError(f"{folder}: no final.extxyz in folders of it: has a run ended there?")
    return finals


def _copy_moduli(folder: Path, output: Path) -> None:
    """Keep the moduli of a run, where they were calculated."""
    if (folder / MODULI_FILE).is_file():
        write_json(output / MODULI_FILE, read_json(folder / MODULI_FILE))


def adopt_run(given: Path, stages: Sequence[Stage], output: Path) -> None:
    """Take up an exported run as if it had been run here.

    Parameters
    ----------
    given
        From `export_run`.
    stages
        What the campaign asks for.
    output
        Receives `record.json`, `series.csv`, `trajectory.h5md` (the frames of the last stage,
        without velocities), `final.extxyz` and, from it, `restart.npz`: other states can continue
        from there.

    Raises
    ------
    GlassmlError
        If the run had other stages.
    """
    record = read_json(given / "record.json")
    if names := differing(record["protocol"], describe(stages)):
        raise GlassmlError(
            f"{given}: was run with other stages than the configuration has ({names}): remove "
            "md.given, so that the state is run, or take the configuration that lies with the runs"
        )
    frames = list(read_extxyz(given / "frames.extxyz.gz"))
    last = len(record["stages"]) - 1
    for stage in record["stages"]:
        stage["frames"] = [0, 0]
    record["stages"][last]["frames"] = [0, len(frames)]
    final = next(ase.io.iread(given / "final.extxyz.gz"))
    samples = Samples()
    for atoms in frames:
        samples.add_frame(atoms.info["time_fs"], atoms.info["step"], last, atoms)
    metadata = {key: record[key] for key in ("state", "glass", "potential", "protocol", "seed")}
    write_trajectory(
        output / "trajectory.h5md", [samples.arrays()], final, metadata, velocities=False
    )
    with atomic_path(output / "series.csv") as temporary:
        temporary.write_bytes(gzip.decompress((given / "series.csv.gz").read_bytes()))
    write_final(output / "final.extxyz", final, final.info)
    write_restart(output / "restart.npz", final)
    write_json(output / "record.json", record)
    _copy_moduli(given, output)


def _last_stage(folder: Path, record: Mapping[str, Any], final: Atoms) -> Iterator[Atoms]:
    universe = read_trajectory(folder / "trajectory.h5md")
    first, end = record["stages"][-1]["frames"]
    for timestep in universe.trajectory[first:end]:
        atoms = Atoms(
            final.numbers,
            positions=timestep.positions,
            cell=box_edges(universe.trajectory),
            pbc=True,
        )
        atoms.wrap()
        atoms.info = {
            "time_fs": round(1000.0 * timestep.data["time"], 3),
            "step": int(timestep.data["step"]),
        }
        yield atoms


def _write_frames(path: Path, frames: Sequence[Atoms], columns: list[str]) -> None:
    rounded = [atoms.copy() for atoms in frames]
    for atoms in rounded:
        atoms.positions = atoms.positions.round(DECIMALS)
    text = io.StringIO()
    ase.io.write(text, rounded, format="extxyz", columns=columns)
    write_gzip(path, text.getvalue().encode())
