"""The torch-sim engine: exact physics, the same files as with ASE, exact continuation, guards."""

import csv
import json
import signal

import numpy as np
import pytest
from ase import units
from ase.build import bulk

torch = pytest.importorskip("torch")
ts = pytest.importorskip("torch_sim", reason="torch-sim needs Python 3.12 and its own environment")

from barostats import (  # noqa: E402
    CASES,
    NUMBER,
    TEMPERATURE_K,
    VOLUME_A3,
    check_volumes,
    exact_volume,
    gas,
)
from torch_sim.models.interface import ModelInterface  # noqa: E402
from torch_sim.models.lennard_jones import LennardJonesModel  # noqa: E402

from glassml.campaign.errors import Interrupted  # noqa: E402
from glassml.campaign.signals import SignalWatch  # noqa: E402
from glassml.md.checkpoint import Checkpoint  # noqa: E402
from glassml.md.engines.batch import BatchSimulation, run_batch  # noqa: E402
from glassml.md.engines.torchsim import (  # noqa: E402
    BatchedLangevin,
    Remembering,
    TorchSimEngine,
    batch_state,
)
from glassml.md.guards import Limits  # noqa: E402
from glassml.md.outputs import read_restart, read_trajectory  # noqa: E402
from glassml.md.protocol import Coupling, Stage  # noqa: E402
from glassml.md.run import Job, run_job  # noqa: E402
from glassml.md.start import maxwell_boltzmann  # noqa: E402

STAGES = (
    Stage("squeeze", "npt", 40, 4.0, (50.0, 60.0), (0.0, 0.3), 5, 10),
    Stage("hold", "nvt", 20, 4.0, (60.0, 60.0), None, 10, 20),
    Stage("free", "nve", 20, 4.0, None, None, 10, 20),
)
LIMITS = Limits(4.0, 0.5, (0.5, 5.0), 2.0)
COUPLING = Coupling(100.0, 300.0, 3.0)


class VolumeSpring(ModelInterface):
    """Atoms that feel nothing but the volume: E = K V0 (V / V0 - 1)² / 2; K = 0 is an ideal gas."""

    def __init__(self, bulk_modulus, volume):
        super().__init__()
        self.bulk_modulus, self.volume = bulk_modulus, volume
        self._device, self._dtype = torch.device("cpu"), torch.float64
        self._compute_stress = self._compute_forces = True

    def forward(self, state, **_):
        strain = torch.linalg.det(state.cell) / self.volume - 1.0
        pull = self.bulk_modulus * strain
        return {
            "energy": 0.5 * self.bulk_modulus * self.volume * strain**2,
            "forces": torch.zeros_like(state.positions),
            "stress": pull[:, None, None] * torch.eye(3, dtype=torch.float64),
        }


def lennard_jones():
    return LennardJonesModel(
        sigma=3.4,
        epsilon=0.0104,
        cutoff=5.0,
        device=torch.device("cpu"),
        dtype=torch.float64,
        compute_forces=True,
        compute_stress=True,
    )


def argon(seed):
    atoms = bulk("Ar", cubic=True, a=5.3) * (2, 2, 2)
    maxwell_boltzmann(atoms, 50.0, np.random.default_rng(seed))
    return atoms


def jobs(names, stages=STAGES, limits=LIMITS):
    potential = {"sha256": "abc"}
    return {
        name: Job("cold", name, None, stages, COUPLING, limits, 7, 8, {}, potential, "torchsim")
        for name in names
    }


GLASSES = {f"glass{index:02d}": index for index in range(3)}


def run(folder, *, glasses=None, **kwargs):
    glasses = glasses or {name: argon(index) for name, index in GLASSES.items()}
    engine = TorchSimEngine(lennard_jones())
    return run_batch(jobs(glasses, **kwargs), glasses, engine, folder, show_progress=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    return folder, run(folder)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_each_glass_has_its_files_like_those_of_ase(finished, tmp_path):
    folder, records = finished
    from matscipy.calculators.pair_potential import LennardJonesCut, PairPotential

    calculator = PairPotential({(18, 18): LennardJonesCut(0.0104, 3.4, 5.0)})
    job = Job("cold", "glass00", None, STAGES, COUPLING, LIMITS, 7, 8, {}, {"sha256": "abc"})
    reference = run_job(job, argon(0), calculator, tmp_path, show_progress=False)
    for name, record in records.items():
        assert record["status"] == "finished"
        assert record.keys() == reference.keys()
        assert record["stages"] == reference["stages"]
        ours, theirs = rows(folder / name / "series.csv"), rows(tmp_path / "series.csv")
        assert [row["time_fs"] for row in ours] == [row["time_fs"] for row in theirs]
        assert [row["stage"] for row in ours] == [row["stage"] for row in theirs]
        universe = read_trajectory(folder / name / "trajectory.h5md")
        end = read_restart(folder / name / "restart.npz")
        assert np.allclose(universe.trajectory[-1].positions, end.positions, atol=1e-5)
    # The same start and potential: the first rows agree between the engines.
    ours = rows(folder / "glass00" / "series.csv")[0]
    theirs = rows(tmp_path / "series.csv")[0]
    for column in ("temperature_K", "density_g_cm3", "kinetic_energy_eV"):
        assert float(ours[column]) == pytest.approx(float(theirs[column]), rel=1e-9)


def test_glasses_of_a_batch_are_different(finished):
    folder, _ = finished
    ends = [(folder / name / "series.csv").read_text() for name in GLASSES]
    assert len(set(ends)) == len(GLASSES)


class StopAfter(LennardJonesModel):
    """Raises a signal after some calls."""

    calls = 0
    stop_at = 0

    def forward(self, *args, **kwargs):
        StopAfter.calls += 1
        if StopAfter.calls == StopAfter.stop_at:
            signal.raise_signal(signal.SIGTERM)
        return super().forward(*args, **kwargs)


@pytest.mark.parametrize("stop_at", [15, 41, 55, 75])
def test_interrupted_batch_goes_on_to_the_same_bytes(tmp_path, finished, stop_at):
    folder, _ = finished
    glasses = {name: argon(index) for name, index in GLASSES.items()}
    StopAfter.calls, StopAfter.stop_at = 0, stop_at
    model = StopAfter(
        sigma=3.4, epsilon=0.0104, cutoff=5.0, dtype=torch.float64,
        compute_forces=True, compute_stress=True,
    )  # fmt: skip
    with pytest.raises(Interrupted):
        run_batch(jobs(glasses), glasses, TorchSimEngine(model), tmp_path, show_progress=False)
    run(tmp_path)
    for name in GLASSES:
        for file in ("series.csv", "final.extxyz", "restart.npz"):
            ours, theirs = tmp_path / name / file, folder / name / file
            assert ours.read_bytes() == theirs.read_bytes(), file
    assert not list(tmp_path.glob("checkpoint*"))


def test_a_glass_that_trips_leaves_and_the_batch_goes_on(tmp_path):
    glasses = {name: argon(index) for name, index in GLASSES.items()}
    glasses["glass01"].positions[1] = glasses["glass01"].positions[0] + [1.0, 0.0, 0.0]
    records = run(tmp_path, glasses=glasses)
    assert [record["status"] for record in records.values()] == ["finished", "stopped", "finished"]
    assert "1.000 Å apart" in records["glass01"]["reason"]
    written = json.loads((tmp_path / "glass01" / "record.json").read_text())
    assert len(written["offending_frame"]["positions_A"]) == 32
    assert float(rows(tmp_path / "glass02" / "series.csv")[-1]["time_fs"]) == pytest.approx(320.0)


def test_a_batch_in_which_all_trip_ends(tmp_path):
    records = run(tmp_path, limits=Limits(4.0, 0.5, (3.0, 5.0), 2.0))
    assert {record["status"] for record in records.values()} == {"stopped"}


@pytest.mark.slow
@pytest.mark.parametrize(("bulk_modulus_GPa", "pressure_GPa"), CASES)
def test_volume_has_the_exact_mean_and_fluctuations(bulk_modulus_GPa, pressure_GPa):
    # torch-sim's barostat has N k T where the ASE engine's has the kinetic energy of the moment:
    # its ensemble is flat in ln V and not in V, a difference of one part in N.
    mean, variance = exact_volume(bulk_modulus_GPa, pressure_GPa, power=NUMBER - 1)
    model = Remembering(VolumeSpring(bulk_modulus_GPa * units.GPa, VOLUME_A3))
    glasses = [gas(mean ** (1 / 3), seed) for seed in range(8)]
    stage = Stage("s", "npt", 4000, 4.0, (TEMPERATURE_K,) * 2, (pressure_GPa,) * 2, 1, 1)
    coupling = Coupling(50.0, 100.0, bulk_modulus_GPa + pressure_GPa + 0.01)
    integrator = BatchedLangevin(batch_state(glasses, model.model, 3), model, stage, coupling)
    volumes, temperatures = [], []
    for step in range(stage.steps):
        integrator.advance()
        if step > 500:
            state = integrator.state
            volumes.append(torch.linalg.det(state.cell).abs().numpy())
            twice_kinetic = (state.momenta**2 / state.masses[:, None]).sum().item()
            temperatures.append(twice_kinetic / (3 * NUMBER * len(glasses) * units.kB))
    check_volumes(np.array(volumes), mean, variance)
    assert np.mean(temperatures) == pytest.approx(TEMPERATURE_K, rel=0.02)


def test_watch_restores_the_handlers():
    before = signal.getsignal(signal.SIGTERM)
    with SignalWatch():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_simulation_knows_who_is_alive(tmp_path):
    glasses = {name: argon(index) for name, index in GLASSES.items()}
    stores = {name: Checkpoint(tmp_path / name, "x") for name in glasses}
    simulation = BatchSimulation(
        glasses,
        TorchSimEngine(lennard_jones()),
        STAGES,
        COUPLING,
        LIMITS,
        1,
        Checkpoint(tmp_path, "x"),
        stores,
    )
    simulation.progress.ended["glass01"] = {}
    assert simulation.alive() == ["glass00", "glass02"]
