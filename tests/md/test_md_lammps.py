"""Engine lammps: complete inputs, runs, what comes back, guards, kills, runs made by hand."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import ase.io
import numpy as np
import pytest
import yaml
from ase import units
from ase.build import bulk

from glassml.campaign.units import density_g_cm3
from glassml.configurations.crystals import polymorph
from glassml.configurations.lammps import LammpsError
from glassml.md.engines.lammps_input import (
    LammpsPotential,
    Piece,
    classical_potential,
    network_potential,
    write_script,
)
from glassml.md.engines.lammps_run import find_program, missing, run_lammps
from glassml.md.guards import Limits
from glassml.md.outputs import read_restart, read_trajectory
from glassml.md.protocol import Coupling, Stage
from glassml.md.run import Job
from glassml.md.start import maxwell_boltzmann

SHIK = classical_potential("shik")
LIMITS = Limits(5.0, 1.0, (1.5, 4.0), 0.9)
COUPLING = Coupling(50.0, 200.0, 37.0)
STAGES = (
    Stage("squeeze", "npt", 45, 1.0, (300.0, 400.0), (0.0, 2.0), 10, 20),
    Stage("warm", "nvt", 40, 0.5, (400.0, 400.0), None, 20, 40),
    Stage("free", "nve", 20, 1.0, None, None, 10, 20),
)


def quartz(temperature_K=600.0, repeat=(2, 2, 2)):
    atoms = polymorph("alpha_quartz") * repeat
    maxwell_boltzmann(atoms, temperature_K, np.random.default_rng(1))
    return atoms


def run(folder, atoms=None, potential=SHIK, program=None, every=1000.0, **values):
    settings = {"stages": STAGES, "limits": LIMITS, "coupling": COUPLING} | values
    job = Job(
        state="cold_2GPa", glass="glass00", parent="ambient", seed=7, dynamics_seed=11,
        origin={}, potential=potential.described, engine="lammps", **settings,
    )  # fmt: skip
    program = program or find_program(None)
    return run_lammps(job, atoms or quartz(), potential, program, folder, restart_every_fs=every)


def rows(folder):
    with (folder / "series.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    return folder, run(folder)


def test_samples_are_where_the_other_engines_have_them(finished):
    folder, record = finished
    table = rows(folder)
    times = [float(row["time_fs"]) for row in table]
    assert times == pytest.approx([0, 10, 20, 30, 40, 45, 55, 65, 75, 85])
    assert [row["stage"] for row in table] == ["squeeze"] * 6 + ["warm"] * 2 + ["free"] * 2
    assert [stage["frames"] for stage in record["stages"]] == [[0, 4], [4, 5], [5, 6]]
    assert (record["status"], record["steps"], record["pieces"]) == ("finished", 105, 1)
    assert record["potential"]["lammps"].startswith("LAMMPS (")
    # Constant energy without a thermostat, constant volume without a barostat.
    free = [float(row["total_energy_eV"]) for row in table if row["stage"] == "free"]
    assert np.ptp(free) < 1e-3 * 72
    assert len({row["volume_A3"] for row in table[5:]}) == 1


def test_the_first_sample_is_that_of_the_engine_of_torch(finished):
    torch = pytest.importorskip("torch")
    from glassml.md.engines.pair_model import PairModel

    atoms = quartz()
    model = PairModel("shik", torch.device("cpu"))
    model.place([atoms])
    found = model(torch.as_tensor(atoms.positions), torch.as_tensor(atoms.cell.array[None]))
    first = {key: float(value) for key, value in rows(finished[0])[0].items() if key != "stage"}
    assert first["potential_energy_eV"] == pytest.approx(float(found["energy"][0]), abs=0.01)
    assert first["temperature_K"] == pytest.approx(
        2 * atoms.get_kinetic_energy() / (3 * 72 * units.kB), rel=1e-5
    )
    trace = float(found["stress"][0].trace())
    pressure = (2 * atoms.get_kinetic_energy() / atoms.get_volume() - trace) / 3 / units.GPa
    assert first["pressure_GPa"] == pytest.approx(pressure, abs=0.02)


def test_frames_begin_at_the_start_and_end_where_a_child_begins(finished):
    folder, _ = finished
    start, end = quartz(), read_restart(folder / "restart.npz")
    universe = read_trajectory(folder / "trajectory.h5md")
    first = universe.trajectory[0]
    assert np.allclose(first.positions, start.positions, atol=2e-6)
    assert np.allclose(first.triclinic_dimensions, start.cell.array, atol=2e-5)
    velocities = start.get_velocities() * 1000 * units.fs
    assert np.allclose(first.velocities, velocities, rtol=1e-5, atol=1e-5)
    last = universe.trajectory[-1]
    assert np.allclose(last.positions, end.positions, atol=2e-5)
    # Where a path crosses the face of the box it goes on.
    frames = np.array([ts.positions.copy() for ts in universe.trajectory])
    assert np.abs(np.diff(frames, axis=0)).max() < 1.0
    final = ase.io.read(folder / "final.extxyz")
    assert final.info["density_g_cm3"] == pytest.approx(density_g_cm3(end))
    assert float(rows(folder)[-1]["density_g_cm3"]) == pytest.approx(density_g_cm3(end), rel=1e-9)
    kinetic = float(rows(folder)[-1]["kinetic_energy_eV"])
    assert end.get_kinetic_energy() == pytest.approx(kinetic, rel=1e-5)


def test_two_runs_of_a_seed_are_the_same(tmp_path, finished):
    run(tmp_path)
    for name in ("series.csv", "final.extxyz", "restart.npz"):
        assert (tmp_path / name).read_bytes() == (finished[0] / name).read_bytes()


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="needs mpirun")
def test_two_ranks_run_the_same_inputs(tmp_path):
    atoms = quartz(repeat=(4, 2, 2))
    one, two = (
        run(tmp_path / name, atoms, program=find_program(command), stages=STAGES[2:])
        for name, command in (("one", None), ("two", "mpirun -np 2 lmp"))
    )
    assert one["status"] == two["status"] == "finished"
    log = (tmp_path / "two" / "lammps" / "log.0").read_text()
    assert "on 2 procs" in log
    for a, b in zip(rows(tmp_path / "one"), rows(tmp_path / "two"), strict=True):
        assert float(a["total_energy_eV"]) == pytest.approx(float(b["total_energy_eV"]), abs=1e-6)


def test_inputs_stay_beside_the_outputs(finished):
    kept = {path.name for path in (finished[0] / "lammps").iterdir()}
    assert {"in.0.lammps", "structure.data", "shik.table", "log.0"} <= kept
    assert not [name for name in kept if name.startswith(("frames", "restart"))]


def test_a_run_whose_outputs_are_gone_is_run_again(tmp_path, finished):
    run(tmp_path, stages=STAGES[2:])
    (tmp_path / "series.csv").unlink()
    run(tmp_path)
    assert (tmp_path / "series.csv").read_bytes() == (finished[0] / "series.csv").read_bytes()
    assert len(read_trajectory(tmp_path / "trajectory.h5md").trajectory) == 6


def test_a_turned_skewed_box_comes_back_as_it_was(tmp_path):
    atoms = polymorph("coesite")
    atoms.rotate(30, (1, 2, 3), rotate_cell=True)
    atoms.positions[3] += 2 * atoms.cell[0] - atoms.cell[2]  # on the way, far from its first box
    maxwell_boltzmann(atoms, 300.0, np.random.default_rng(2))
    stage = Stage("free", "nve", 2, 0.01, None, None, 1, 1)
    run(tmp_path, atoms, stages=(stage,))
    end = read_restart(tmp_path / "restart.npz")
    assert np.allclose(end.cell.array, atoms.cell.array, atol=1e-9)
    drift = atoms.positions + 0.02 * units.fs * atoms.get_velocities()
    assert np.allclose(end.positions, drift, atol=2e-6)


@pytest.mark.parametrize("name", ["bks", "chik", "vashishta", "tersoff"])
def test_published_potentials_hold_quartz(tmp_path, name):
    stage = Stage("hold", "npt", 300, 1.0, (300.0, 300.0), (0.0, 0.0), 50, 300)
    limits = Limits(8.0, 1.0, (2.0, 3.3), 0.9)
    record = run(tmp_path, potential=classical_potential(name), stages=(stage,), limits=limits)
    assert record["status"] == "finished", record["reason"]
    assert record["potential"]["path"] == name
    assert "(" in record["potential"]["source"]


def test_missing_parameters_say_where_to_get_them(tmp_path):
    with pytest.raises(LammpsError, match=r"SiO.tersoff: is not there; .*md.lammps.parameters"):
        classical_potential("tersoff", tmp_path)


def test_a_guard_ends_lammps_and_sets_the_run_aside(tmp_path):
    hot = Stage("heat", "nvt", 10_000, 1.0, (300.0, 300.0), None, 10, 50)
    record = run(
        tmp_path,
        quartz(temperature_K=20.0),
        stages=(hot,),
        limits=Limits(1.01, 100.0, (1.0, 9.0), 0.0),
    )
    # Heat comes from the thermostat; it passes the target by fluctuations of 8 %.
    assert record["status"] == "stopped"
    assert "is above 1.01 times 300 K" in record["reason"]
    assert 0 < record["steps"] < 10_000
    times = [float(row["time_fs"]) for row in rows(tmp_path)]
    assert times == list(range(0, record["steps"] + 1, 10))
    assert np.isfinite(ase.io.read(tmp_path / "final.extxyz").positions).all()


def test_atoms_on_top_of_each_other_are_noticed(tmp_path):
    atoms = quartz()
    atoms.positions[1] = atoms.positions[0] + [0.3, 0.0, 0.0]
    record = run(tmp_path, atoms, limits=Limits(1e9, 1e9, (0.1, 99.0), 0.9))
    assert record["status"] == "stopped"
    assert "0.300 Å apart" in record["reason"]
    assert len(record["offending_frame"]["positions_A"]) == 72


def test_atoms_that_lammps_loses_set_the_run_aside(tmp_path):
    atoms = quartz()
    atoms.positions[1] = atoms.positions[0] + [0.01, 0.0, 0.0]
    record = run(
        tmp_path,
        atoms,
        potential=classical_potential("vashishta"),
        limits=Limits(1e30, 1e30, (0.0, 1e9), 0.0),
    )
    assert record["status"] == "stopped"
    assert "LAMMPS: ERROR" in record["reason"]


def test_an_error_that_is_not_physics_is_told(tmp_path):
    broken = replace(SHIK, commands=("pair_style zero 5.0",))
    with pytest.raises(LammpsError, match=r"LAMMPS stopped with exit code .*ERROR"):
        run(tmp_path, potential=broken)


def test_without_what_it_needs_nothing_runs_and_the_inputs_are_whole(tmp_path):
    absent = find_program("true")
    with pytest.raises(LammpsError, match=r"Nothing ran. The inputs are complete in .*lammps"):
        run(tmp_path, program=absent)
    place = tmp_path / "lammps"
    assert not (tmp_path / "record.json").exists()
    # By hand, as its first line says; then the same command reads it back, without LAMMPS.
    program = find_program(None)
    subprocess.run(
        [*program.command, "-in", "in.0.lammps", "-log", "log.0", "-screen", "none"],
        cwd=place,
        env=os.environ | program.environment,
        check=True,
    )
    record = run(tmp_path, program=absent)
    assert (record["status"], record["steps"]) == ("finished", 105)
    assert len(rows(tmp_path)) == 10


def test_lammps_of_the_python_package_lacks_what_a_network_needs(tmp_path):
    package = tmp_path / "model.nequip.zip"
    package.write_bytes(b"weights")
    potential = network_potential(package, ["Si", "O"])
    assert "has no mliap/kk, package PYTHON" in missing(find_program(None), potential)
    assert missing(find_program(None), SHIK) == ""
    write_script(tmp_path, Piece(0), quartz(), potential, STAGES, COUPLING, 1, 1000.0)
    script = (tmp_path / "in.0.lammps").read_text()
    assert "pair_style mliap unified model.nequip.lmp.pt 0\npair_coeff * * Si O\n" in script
    assert "atom_style atomic\nnewton on\n" in script
    assert "mpirun -np 4 lmp -k on g 4 -sf kk" in script


def test_a_piece_goes_on_in_the_middle_of_a_ramp(tmp_path):
    write_script(tmp_path, Piece(2, 60), quartz(), SHIK, STAGES, COUPLING, 1, 1000.0)
    script = (tmp_path / "in.2.lammps").read_text()
    assert "read_restart restart.60\n" in script
    assert "# squeeze" not in script
    assert "run 85 upto start 45 stop 85\n" in script
    assert "dump_modify frames every v_frame sort id element Si O format float %.8g\n" in script


CONFIG = {
    "name": "tiny",
    "configurations": {"families": {"atoms": {"generator": "isolated_atom", "count": 2}}},
    "md": {
        "atoms": 72, "engine": "lammps", "potential": "shik", "timestep_fs": 1,
        "sample_every_fs": 10, "frame_every_fs": 25,
        "guards": {"temperature_ratio": 30, "energy_jump_eV": 30},
        "lammps": {"restart_every_fs": 60},
        "states": {"ambient": {"stages": [
            {"name": "melt", "ensemble": "nvt", "temperature_K": 3000, "duration_ps": 1},
            {"name": "hold", "ensemble": "npt", "temperature_K": 3000, "pressure_GPa": [0, 5],
             "duration_ps": 1},
        ]}},
    },
}  # fmt: skip


def start(folder):
    config = folder / "campaign.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    command = "from glassml.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    options = ["md", "run", "--config", str(config), "--state", "ambient", "--glass", "glass00"]
    options += ["--potential", "shik", "--output-dir", str(folder / "glass00")]
    return subprocess.Popen([sys.executable, "-c", command, *options])


def wait_for_restarts(folder, newest):
    """Wait until LAMMPS has written restart files up to a step."""
    place = folder / "glass00" / "lammps"
    for _ in range(60_000):
        steps = [int(path.suffix[1:]) for path in place.glob("restart.*")]
        if max(steps, default=0) >= newest:
            return
        time.sleep(0.005)
    raise AssertionError("no restart files")


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_run_that_is_stopped_goes_on_from_lammps_s_restart_file(tmp_path, sent, code):
    for newest in (300, 1260):
        process = start(tmp_path)
        wait_for_restarts(tmp_path, newest)
        process.send_signal(sent)
        assert process.wait(120) == code
        time.sleep(0.5)
        log = max((tmp_path / "glass00/lammps").glob("log.*"))
        size = log.stat().st_size
        time.sleep(0.5)
        assert log.stat().st_size == size, "LAMMPS runs on"
    assert start(tmp_path).wait(600) == 0
    record = json.loads((tmp_path / "glass00/record.json").read_text())
    assert (record["status"], record["steps"], record["pieces"]) == ("finished", 2000, 3)
    times = [float(row["time_fs"]) for row in rows(tmp_path / "glass00")]
    assert times == pytest.approx(list(range(0, 2001, 10)))
    universe = read_trajectory(tmp_path / "glass00/trajectory.h5md")
    frames = [float(ts.time) for ts in universe.trajectory]
    assert frames == pytest.approx([0.025 * index for index in range(81)])
    # No jump where it went on.
    energies = [float(row["total_energy_eV"]) / 72 for row in rows(tmp_path / "glass00")]
    assert np.abs(np.diff(energies[20:])).max() < 0.1


@pytest.mark.slow
def test_the_volume_of_a_solid_oscillates_with_the_period_of_the_barostat(tmp_path):
    """A Lennard-Jones crystal near 0 K, a little compressed; its bulk modulus is measured first."""
    commands = (
        "pair_style lj/smooth 6.0 7.0",
        "pair_coeff * * 0.0104 3.4",
        "neighbor 1.0 bin",
    )
    potential = LammpsPotential(("Ar",), commands, ("lj/smooth",), {"path": "lj", "sha256": "lj"})
    free = Stage("point", "nve", 1, 0.01, None, None, 1, 1)
    wide = Limits(1e9, 1e9, (0.1, 9.0), 0.0)
    pressures, edges = [], np.array([5.30, 5.305, 5.31, 5.315])
    for edge in edges:
        atoms = bulk("Ar", cubic=True, a=edge) * (4, 4, 4)
        maxwell_boltzmann(atoms, 1e-6, np.random.default_rng(1))
        run(tmp_path / f"{edge}", atoms, potential=potential, stages=(free,), limits=wide)
        pressures.append(float(rows(tmp_path / f"{edge}")[0]["pressure_GPa"]))
    slope, offset = np.polyfit(edges, pressures, 1)
    rest = -offset / slope
    assert edges[0] < rest < edges[-1]
    modulus_GPa = -rest * slope / 3
    atoms = bulk("Ar", cubic=True, a=rest - 0.005) * (4, 4, 4)
    maxwell_boltzmann(atoms, 0.1, np.random.default_rng(1))
    # The barostat is much slower than the crystal's own vibrations.
    hold = Stage("hold", "npt", 12_000, 2.0, (0.1, 0.1), (0.0, 0.0), 20, 12_000)
    coupling = Coupling(1e6, 8000.0, modulus_GPa)
    run(tmp_path / "hold", atoms, potential=potential, stages=(hold,), limits=wide,
        coupling=coupling)  # fmt: skip
    table = rows(tmp_path / "hold")
    time_fs = np.array([float(row["time_fs"]) for row in table])
    volume = np.array([float(row["volume_A3"]) for row in table])
    away = volume - 4.0**3 * rest**3
    up = np.flatnonzero((away[:-1] < 0) & (away[1:] >= 0))
    period = np.diff(time_fs[up]).mean()
    assert period == pytest.approx(8000.0, rel=0.03)


@pytest.mark.slow
def test_the_inputs_for_a_network_have_nequip_s_file(tmp_path, trained):
    import torch

    atoms = quartz()
    potential = network_potential(trained / "model.nequip.zip", ["Si", "O"])
    with pytest.raises(LammpsError, match=r"mliap/kk.*-k on g 4 -sf kk"):
        run(tmp_path, atoms, potential=potential)
    made = torch.load(tmp_path / "lammps" / "model.nequip.lmp.pt", weights_only=False)
    assert sorted(made.element_types) == ["O", "Si"]
    assert 2.0 * made.rcutfac == pytest.approx(4.0)
