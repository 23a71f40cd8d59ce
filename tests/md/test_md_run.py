"""Runs from start to files: guards, outputs, starts, and what a stopped parent means."""

import csv
import json

import ase.io
import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from matscipy.calculators.pair_potential import LennardJonesCut, PairPotential
from matscipy.neighbours import neighbour_list

from glassml.campaign.config.md import ClassicalStart, MolecularDynamics
from glassml.campaign.errors import GlassmlError, StructureError
from glassml.campaign.units import density_g_cm3
from glassml.cli import main
from glassml.md.guards import Limits
from glassml.md.jobs import why_skipped
from glassml.md.outputs import read_metadata, read_restart, read_trajectory
from glassml.md.potential import check_potential, gate_warnings
from glassml.md.protocol import Coupling, Stage
from glassml.md.run import Job, run_job, skip_job
from glassml.md.start import MIN_DISTANCES_A, classical_start, maxwell_boltzmann, random_start
from glassml.potential.gates import as_record, judge

LIMITS = Limits(4.0, 0.5, (0.5, 5.0), 2.0)
STAGES = (
    Stage("squeeze", "npt", 40, 4.0, (50.0, 60.0), (0.0, 0.3), 5, 10),
    Stage("hold", "nvt", 20, 4.0, (60.0, 60.0), None, 10, 20),
)


def argon(temperature=50.0):
    atoms = bulk("Ar", cubic=True, a=5.3) * (2, 2, 2)
    maxwell_boltzmann(atoms, temperature, np.random.default_rng(0))
    return atoms


def lennard_jones():
    return PairPotential({(18, 18): LennardJonesCut(0.0104, 3.4, 5.0)})


def job(stages=STAGES, limits=LIMITS, state="cold_0.3GPa"):
    coupling = Coupling(100.0, 300.0, 3.0)
    return Job(
        state, "glass00", "ambient", stages, coupling, limits, 7, len(state), {}, {"sha256": "abc"}
    )


def run(folder, atoms=None, calculator=None, **kwargs):
    atoms, calculator = atoms or argon(), calculator or lennard_jones()
    return run_job(job(**kwargs), atoms, calculator, folder, show_progress=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    return folder, run(folder)


def rows(folder):
    with (folder / "series.csv").open() as file:
        return list(csv.DictReader(file))


def test_series_has_a_row_per_sample_and_the_ends_of_stages(finished):
    folder, _ = finished
    table = rows(folder)
    times = [float(row["time_fs"]) for row in table]
    assert times == pytest.approx([0, *range(20, 161, 20), 200, 240])
    assert [row["stage"] for row in table] == ["squeeze"] * 9 + ["hold"] * 2
    for row in table:
        total = float(row["potential_energy_eV"]) + float(row["kinetic_energy_eV"])
        assert float(row["total_energy_eV"]) == pytest.approx(total, abs=1e-12)


def test_trajectory_is_read_by_mdanalysis_with_units_box_and_elements(finished):
    folder, record = finished
    universe = read_trajectory(folder / "trajectory.h5md")
    assert set(universe.atoms.elements) == {"Ar"}
    assert universe.trajectory.units["length"] == "Angstrom"
    assert universe.trajectory.units["time"] == "ps"
    assert universe.trajectory.units["velocity"] == "Angstrom/ps"
    stages = [int(ts.data["stage"]) for ts in universe.trajectory]
    times = [float(ts.time) for ts in universe.trajectory]
    assert times == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.24])
    assert [stage["frames"] for stage in record["stages"]] == [[0, 5], [5, 6]]
    assert stages == [0] * 5 + [1]


def test_last_frame_final_structure_and_restart_are_the_same(finished):
    folder, _ = finished
    end = read_restart(folder / "restart.npz")
    final = ase.io.read(folder / "final.extxyz")
    universe = read_trajectory(folder / "trajectory.h5md")
    last = universe.trajectory[-1]
    assert np.allclose(last.positions, end.positions, atol=1e-5)
    assert np.allclose(last.velocities, end.get_velocities() * 98.2269, rtol=1e-4, atol=1e-4)
    assert np.allclose(last.triclinic_dimensions, end.cell.array, atol=1e-5)
    wrapped = end.copy()
    wrapped.wrap()
    assert np.allclose(final.positions, wrapped.positions, atol=1e-7)
    assert final.info["density_g_cm3"] == pytest.approx(density_g_cm3(end), rel=1e-12)
    assert float(rows(folder)[-1]["density_g_cm3"]) == density_g_cm3(end)


def test_trajectory_says_where_it_comes_from(finished):
    folder, record = finished
    metadata = read_metadata(folder / "trajectory.h5md")
    assert metadata["potential"] == {"sha256": "abc"}
    assert metadata["protocol"] == record["protocol"]
    assert metadata["seed"] == 7
    with h5py.File(folder / "trajectory.h5md") as file:
        assert file["h5md"].attrs["version"].tolist() == [1, 1]
        assert file["particles/trajectory/position/value"].attrs["unit"] == "Angstrom"


def test_record_tells_how_it_went(finished):
    _, record = finished
    assert record["status"] == "finished"
    assert record["offending_frame"] is None
    assert (record["steps"], record["pieces"], record["atoms"]) == (60, 1, 32)


def test_two_runs_of_a_seed_are_the_same_and_another_glass_is_not(tmp_path, finished):
    folder, _ = finished
    run(tmp_path / "again")
    assert (tmp_path / "again/series.csv").read_bytes() == (folder / "series.csv").read_bytes()
    run(tmp_path / "other", state="cold_10.4GPa")
    assert (tmp_path / "other/series.csv").read_bytes() != (folder / "series.csv").read_bytes()


class Broken(PairPotential):
    """A potential that fails in a chosen way after some steps."""

    def __init__(self, after, how):
        super().__init__({(18, 18): LennardJonesCut(0.0104, 3.4, 5.0)})
        self.after, self.how = after, how

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.after -= 1
        if self.after < 0:
            self.how(self.results)


def set_nan(results):
    results["forces"] = np.full_like(results["forces"], np.nan)


def set_jump(results):
    results["energy"] -= 100.0


def set_kick(results):
    results["forces"] = results["forces"] + 50.0


def raise_index_error(results):
    raise IndexError("no such atom")


def close_pair():
    atoms = argon()
    atoms.positions[1] = atoms.positions[0] + [1.0, 0.0, 0.0]
    return atoms


STOPS = {
    "forces are not numbers": ({"calculator": Broken(20, set_nan)}, "not numbers"),
    "energy jumps": ({"calculator": Broken(20, set_jump)}, "total energy jumps by -3.1"),
    "temperature runs away": ({"calculator": Broken(20, set_kick)}, "is above 4 times"),
    "density leaves the window": (
        {"limits": Limits(4.0, 0.5, (2.0, 5.0), 2.0)},
        "density 1.782 g/cm³ is outside 2 to 5",
    ),
    "exploded start": ({"atoms": close_pair()}, "1.000 Å apart, closer than 2 Å"),
}


@pytest.mark.parametrize("case", STOPS)
def test_a_run_that_means_nothing_is_set_aside_with_its_reason(tmp_path, case):
    setup, reason = STOPS[case]
    record = run(tmp_path, **setup)
    assert record["status"] == "stopped"
    assert reason in record["reason"]
    assert len(record["offending_frame"]["positions_A"]) == 32
    assert record == json.loads((tmp_path / "record.json").read_text())
    assert not (tmp_path / "checkpoint").exists()
    # What is left is whole and finite.
    assert np.isfinite(ase.io.read(tmp_path / "final.extxyz").positions).all()
    universe = read_trajectory(tmp_path / "trajectory.h5md")
    assert all(np.isfinite(ts.positions).all() for ts in universe.trajectory)
    assert all(float(row["total_energy_eV"]) for row in rows(tmp_path))


def test_an_error_of_a_healthy_run_is_not_hidden(tmp_path):
    with pytest.raises(IndexError, match="no such atom"):
        run(tmp_path, calculator=Broken(20, raise_index_error))


def test_children_of_a_stopped_state_are_skipped_with_the_first_reason(tmp_path):
    run(tmp_path / "parent", calculator=Broken(20, set_nan))
    reason = why_skipped(tmp_path / "parent/record.json", "ambient")
    assert reason.startswith("ambient was stopped: ")
    parent = read_restart(tmp_path / "parent/restart.npz")
    record = skip_job(job(), parent, reason, tmp_path / "child")
    assert record["status"] == "skipped"
    assert why_skipped(tmp_path / "child/record.json", "cold_0.3GPa") == reason
    assert rows(tmp_path / "child") == []
    universe = read_trajectory(tmp_path / "child/trajectory.h5md")
    assert len(universe.trajectory) == 1
    assert np.allclose(universe.atoms.positions, parent.positions, atol=1e-5)


def test_children_of_a_finished_state_are_run(finished):
    assert why_skipped(finished[0] / "record.json", "ambient") == ""


@settings(max_examples=15)
@given(units=st.integers(8, 60), density=st.floats(1.5, 2.4), seed=st.integers(0, 2**31 - 1))
def test_random_start_keeps_distances_composition_and_density(units, density, seed):
    atoms = random_start({"Si": 1, "O": 2}, 3 * units, density, np.random.default_rng(seed))
    assert atoms.symbols.count("O") == 2 * atoms.symbols.count("Si") == 2 * units
    assert density_g_cm3(atoms) == pytest.approx(density, rel=1e-9)
    i, j, distance = neighbour_list("ijd", atoms, 3.0)
    for a, b, d in zip(i, j, distance, strict=True):
        pair = tuple(sorted((atoms.symbols[a], atoms.symbols[b])))
        assert d >= MIN_DISTANCES_A[pair]


def test_random_start_refuses_what_cannot_be_packed():
    with pytest.raises(StructureError, match="lower start_density_g_cm3"):
        random_start({"Si": 1, "O": 2}, 24, 9.0, np.random.default_rng(0))


@pytest.mark.slow
def test_classical_start_is_a_glass_of_tetrahedra():
    start = random_start({"Si": 1, "O": 2}, 72, 2.2, np.random.default_rng(4))
    ramps = [{"end_K": 2000, "rate_K_per_ps": 1500}, {"end_K": 300, "rate_K_per_ps": 800}]
    way = ClassicalStart(melt_K=3500, melt_ps=2, quench=ramps, timestep_fs=1.5)
    glass = classical_start(start, way, 0.0, 2**31 - 2)
    i, j = neighbour_list("ij", glass, 2.2)
    silicon = glass.symbols == "Si"
    bonds = silicon[i] & ~silicon[j]
    assert len(glass) == 72
    assert 3.7 < np.count_nonzero(bonds) / 24 < 4.3
    assert 1.9 < density_g_cm3(glass) < 2.7


class Types:
    model_type_names = ("Si", "O")


class Cutoff:
    r_max = 5.0


def test_potential_for_other_elements_is_refused():
    calculator = lennard_jones()
    calculator.transforms = [Types()]
    with pytest.raises(StructureError, match="for Si, O; it does not know Ar"):
        check_potential(calculator, argon())


def test_box_smaller_than_twice_the_cutoff_is_warned_of():
    calculator = lennard_jones()
    calculator.transforms = [Cutoff()]
    skewed = Atoms("Ar", cell=[[12, 0, 0], [9, 9, 0], [0, 0, 12]], pbc=True)
    (warning,) = check_potential(calculator, skewed)
    assert "8.49 Å wide" in warning
    assert check_potential(calculator, argon()) == []


def write_gates(path, **values):
    """Write the `gates.json` of errors and a run, judged as the potential's stage judges them."""
    results = [
        judge("errors", name, value, threshold=0.1, unit="eV/Å", amber_factor=2.0)
        for name, value in values.items()
    ]
    results.append(
        judge("stability", "hot: share lost", 0.0, threshold=0.0, unit="", amber_factor=1.0)
    )
    path.write_text(json.dumps(as_record(results)))
    return path


def test_missed_gates_are_named(tmp_path):
    gates = write_gates(tmp_path / "gates.json", force=0.15)
    assert gate_warnings(gates) == ["the potential misses gates: errors (amber)"]
    assert gate_warnings(write_gates(gates, force=0.05)) == []
    assert gate_warnings(None) == []


def test_a_red_potential_is_refused_with_its_numbers_unless_it_is_allowed(tmp_path):
    gates = write_gates(tmp_path / "gates.json", force=0.3141, all_is_well=0.01, lost=float("nan"))
    with pytest.raises(GlassmlError) as refused:
        gate_warnings(gates)
    lines = str(refused.value).splitlines()
    assert lines[0].endswith("2 numbers of the potential are red:")
    assert lines[1].strip() == "errors: force: 0.314 eV/Å, allowed 0.1 eV/Å"
    assert lines[2].strip() == "errors: lost: not a number, allowed 0.1 eV/Å"
    # The last line is what `glassml status` shows.
    assert len(lines) == 4
    assert "red (errors)" in lines[3]
    assert "md.allow_red_potential: true" in lines[3]
    assert gate_warnings(gates, allow_red=True) == ["the potential misses gates: errors (red)"]


ONE_STATE = """
name: test
configurations: {families: {}}
md:
  atoms: 24
  engine: torch
  allow_red_potential: %s
  guards: {temperature_ratio: 1000, energy_jump_eV: 1000}  # the start is random
  states:
    hot:
      stages: [{name: hold, ensemble: nvt, temperature_K: 300, duration_ps: 0.002}]
"""


@pytest.mark.parametrize("action", ["run --state hot --glass glass00", "batch --state hot", "all"])
def test_commands_refuse_a_red_potential_before_they_load_it(action, tmp_path, capsys):
    (tmp_path / "campaign.yaml").write_text(ONE_STATE % "false")
    gates = write_gates(tmp_path / "gates.json", force=0.3)
    command = ["md", *action.split(), "--config", str(tmp_path / "campaign.yaml")]
    command += ["--gates", str(gates), "--potential", str(tmp_path / "none.nequip.zip")]
    assert main([*command, "--output-dir", str(tmp_path / "md")]) == 2
    assert "errors: force: 0.3 eV/Å, allowed 0.1 eV/Å" in capsys.readouterr().err
    assert not (tmp_path / "md").exists()


def test_a_red_potential_that_is_allowed_is_recorded(tmp_path):
    (tmp_path / "campaign.yaml").write_text(ONE_STATE % "true")
    gates = write_gates(tmp_path / "gates.json", force=0.3)
    command = ["md", "all", "--config", str(tmp_path / "campaign.yaml"), "--gates", str(gates)]
    command += ["--potential", "shik", "--device", "cpu", "--output-dir", str(tmp_path / "md")]
    assert main(command) == 0
    record = json.loads((tmp_path / "md/hot/glass00/record.json").read_text())
    assert record["status"] == "finished"
    assert record["warnings"][0] == "the potential misses gates: errors (red)"


def test_branches_can_be_run_one_by_one(tmp_path, capsys):
    config = ONE_STATE % "true"
    for branch in ("left", "right"):
        stage = "{name: hold, ensemble: nvt, temperature_K: 300, duration_ps: 0.002}"
        config += f"    {branch}: {{parent: hot, stages: [{stage}]}}\n"
    (tmp_path / "campaign.yaml").write_text(config)
    command = ["md", "all", "--config", str(tmp_path / "campaign.yaml"), "--potential", "shik"]
    command += ["--device", "cpu", "--output-dir", str(tmp_path / "md")]
    assert main([*command, "--states", "right"]) == 0
    states = sorted(each.name for each in (tmp_path / "md").iterdir() if each.is_dir())
    assert states == ["hot", "right"]
    made = (tmp_path / "md/hot/glass00/record.json").read_bytes()
    assert main([*command, "--states", "left", "right"]) == 0
    assert (tmp_path / "md/left/glass00/record.json").exists()
    assert (tmp_path / "md/hot/glass00/record.json").read_bytes() == made
    assert main([*command, "--states", "middle"]) == 2
    assert "--state middle: there is no such state" in capsys.readouterr().err


def test_allowing_a_red_potential_reruns_no_dynamics():
    strict, lenient = MolecularDynamics(), MolecularDynamics(allow_red_potential=True)
    assert strict.settings_of("ambient") == lenient.settings_of("ambient")


def test_restart_that_is_none_is_refused(tmp_path):
    (tmp_path / "restart.npz").write_bytes(b"nonsense")
    with pytest.raises(StructureError, match="is not the end of a state"):
        read_restart(tmp_path / "restart.npz")
