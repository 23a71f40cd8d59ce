"""The torch engine: pairs, a padded network, ASE's scheme, exact physics and continuation."""

import json
import signal
import time

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from hypothesis import given, settings
from hypothesis import strategies as st
from matscipy.neighbours import neighbour_list

torch = pytest.importorskip("torch")

from ase.calculators.calculator import Calculator, all_changes  # noqa: E402
from barostats import (  # noqa: E402
    CASES,
    TEMPERATURE_K,
    VOLUME_A3,
    check_ensemble,
    exact_volume,
    gas,
)
from springs import Spring, VolumeSpring, argon  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from glassml.campaign.config.potential import Network  # noqa: E402
from glassml.campaign.errors import Interrupted, StructureError  # noqa: E402
from glassml.md.engines.batch import run_batch  # noqa: E402
from glassml.md.engines.integrator import RampedLangevin  # noqa: E402
from glassml.md.engines.torchmd import Batch, RampedBatch, TorchEngine  # noqa: E402
from glassml.md.guards import Limits  # noqa: E402
from glassml.md.protocol import Coupling, Stage  # noqa: E402
from glassml.md.run import Job, run_job  # noqa: E402
from glassml.md.start import maxwell_boltzmann, random_start  # noqa: E402
from glassml.potential.boxes import heights  # noqa: E402
from glassml.potential.edges import Edges, _pairs_of_all, _pairs_of_bins  # noqa: E402
from glassml.potential.padded import PaddedNetwork  # noqa: E402

CUTOFF_A = 3.5
CPU = torch.device("cpu")


def tensors(glasses):
    positions = np.concatenate([atoms.positions for atoms in glasses])
    cells = np.array([atoms.cell.array for atoms in glasses])
    return torch.as_tensor(positions), torch.as_tensor(cells)


def as_set(first, second, vectors):
    rows = np.column_stack([first, second, np.round(vectors, 6) + 0.0])
    return sorted(map(tuple, rows.tolist()))


@settings(max_examples=30)
@given(
    edge=st.floats(3.0, 12.0),
    tilt=st.floats(-0.4, 0.4),
    number=st.integers(2, 30),
    seed=st.integers(0, 2**31 - 1),
)
def test_pairs_are_those_of_another_program(edge, tilt, number, seed):
    rng = np.random.default_rng(seed)
    cell = edge * (np.eye(3) + tilt * np.tri(3, k=-1))
    # anywhere, not only in the box
    glass = Atoms(f"Ar{number}", 3.0 * edge * rng.standard_normal((number, 3)), cell=cell, pbc=True)
    other = glass.copy()
    other.set_cell(1.3 * cell, scale_atoms=True)
    edges = Edges([number, number], CUTOFF_A, 0.4, CPU)
    ours = as_set(*(x.numpy() for x in edges.find(*tensors([glass, other]))))
    theirs = []
    for offset, atoms in ((0, glass), (number, other)):
        i, j, vector = neighbour_list("ijD", atoms, CUTOFF_A)
        theirs += as_set(i + offset, j + offset, vector)
    assert np.allclose(np.array(ours), np.array(sorted(theirs)), atol=2e-6)


@settings(max_examples=15)
@given(
    width=st.floats(3.05, 7.0),
    tilt=st.floats(-0.3, 0.3),
    number=st.integers(30, 300),
    seed=st.integers(0, 2**31 - 1),
)
def test_bins_find_the_pairs_that_looking_at_all_finds(width, tilt, number, seed):
    rng = np.random.default_rng(seed)
    first = width * CUTOFF_A * (np.eye(3) + tilt * np.tri(3, k=-1)) @ np.diag([1.0, 1.1, 1.3])
    cells = np.array([first, 1.2 * first[::-1]])
    wrapped = torch.as_tensor(rng.random((2 * number, 3)))
    wide = heights(cells)
    bins = (wide // CUTOFF_A).astype(int)
    if bins.min() < 3:  # the tilt makes the box narrower
        return
    system = torch.arange(2).repeat_interleave(number)
    cells = torch.as_tensor(cells)
    binned = _pairs_of_bins(wrapped, cells, system, CUTOFF_A, bins)
    for index, width_ in enumerate(wide):
        own = wrapped[index * number : (index + 1) * number]
        mine = system[binned[0]] == index
        found = _pairs_of_all(own, cells[index], CUTOFF_A, width_)
        assert torch.equal(binned[0][mine] - index * number, found[0])
        assert torch.equal(binned[1][mine] - index * number, found[1])
        assert torch.equal(binned[2][mine], found[2])


def test_atoms_that_are_nowhere_have_no_pairs_and_do_no_harm():
    rng = np.random.default_rng(1)
    positions = torch.as_tensor(12.0 * rng.random((80, 3)))
    cells = 12.0 * torch.eye(3, dtype=torch.float64).repeat(2, 1, 1)
    alone = Edges([40], CUTOFF_A, 0.1, CPU).find(positions[:40], cells[:1])
    positions[50] = torch.nan
    first, second, _ = Edges([40, 40], CUTOFF_A, 0.1, CPU).find(positions, cells)
    assert 50 not in first
    assert 50 not in second
    assert torch.equal(first[first < 40], alone[0])
    cells[1] *= torch.nan
    first, _, _ = Edges([40, 40], CUTOFF_A, 0.1, CPU).find(positions, cells)
    assert torch.equal(first, alone[0])


def test_pairs_of_an_old_list_are_those_of_a_new_one_in_the_same_order():
    rng = np.random.default_rng(1)
    glass = random_start({"Si": 1, "O": 2}, 240, 2.2, rng)
    edges = Edges([240], CUTOFF_A, 0.5, CPU)
    for _ in range(60):
        glass.positions += 0.03 * rng.standard_normal((240, 3))
        glass.set_cell(glass.cell * (1.0 + 0.004 * rng.standard_normal()), scale_atoms=True)
        kept = edges.find(*tensors([glass]))
        fresh = Edges([240], CUTOFF_A, 0.0, CPU).find(*tensors([glass]))
        assert torch.equal(kept[0], fresh[0])
        assert torch.equal(kept[1], fresh[1])
        assert torch.allclose(kept[2], fresh[2], atol=1e-9)
    assert 2 < edges.builds < 40


class Waits(TorchDispatchMode):
    """Notes what makes the host wait for a device."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if name in ("nonzero", "_local_scalar_dense", "masked_select", "_unique2"):
            self.seen.append(name)
        return function(*args, **(kwargs or {}))


def test_pairs_of_a_good_list_are_waited_for_once_and_then_the_list_is_looked_at():
    glass = random_start({"Si": 1, "O": 2}, 240, 2.2, np.random.default_rng(1))
    edges = Edges([240], CUTOFF_A, 0.5, CPU)
    edges.find(*tensors([glass]))
    glass.positions += 0.01
    with Waits() as waits:
        edges.near(*tensors([glass]))
    # the second is there when the first is
    assert waits.seen == ["nonzero", "_local_scalar_dense"]
    assert edges.builds == 1


@pytest.mark.parametrize("name", ["shik", "chik"])
def test_pair_potentials_are_those_of_lammps(name):
    from glassml.configurations.melts import energy_and_forces
    from glassml.md.engines.pair_model import PairModel

    glasses = [silica(72, 1), silica(96, 2)]
    model = PairModel(name, CPU)
    model.place(glasses)
    found = model(*tensors(glasses))
    energies, forces = zip(*(energy_and_forces(a, potential=name) for a in glasses), strict=True)
    assert found["energy"].tolist() == pytest.approx(list(energies), rel=1e-5)
    assert np.allclose(found["forces"].numpy(), np.concatenate(forces), atol=5e-3)
    step = 1e-4
    sizes = []
    for sign in (1, -1):
        scaled = [atoms.copy() for atoms in glasses]
        for atoms in scaled:
            atoms.set_cell(atoms.cell * (1.0 + sign * step), scale_atoms=True)
        sizes.append(model(*tensors(scaled))["energy"])
    slope = (sizes[0] - sizes[1]) / (2 * step)
    trace = found["stress"].diagonal(dim1=1, dim2=2).sum(dim=1)
    volumes = torch.tensor([atoms.get_volume() for atoms in glasses])
    assert torch.allclose(trace * volumes, slope, rtol=1e-3)


@pytest.fixture(scope="module")
def networks():
    """Give small networks of random weights, as `glassml potential train` makes them."""
    from hydra.utils import get_method
    from nequip.utils.global_state import set_global_state

    from glassml.potential.training_config import scratch_model, with_kernels

    set_global_state()
    size = Network(
        cutoff_A=CUTOFF_A, layers=2, l_max=1, features=4, radial_width=8, bessels=4, dtype="float64"
    )
    made = []
    for seed in (1, 2):
        config = scratch_model(
            size, species=["O", "Si"],
            shifts_eV={"O": -1.0, "Si": -2.0}, scale_eV=1.0, neighbours=12.0, seed=seed,
        )  # fmt: skip
        config = with_kernels(config, "eager")
        made.append(get_method(config.pop("_target_"))(**config).eval())
    return made


def padded(network, **options):
    return PaddedNetwork(network, ["O", "Si"], CUTOFF_A, **options)


def calculator(network):
    from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
    from nequip.integrations.ase import NequIPCalculator

    names = ChemicalSpeciesToAtomTypeMapper(
        model_type_names=["O", "Si"], chemical_species_to_atom_type_map={"O": "O", "Si": "Si"}
    )
    return NequIPCalculator(
        network, "cpu", transforms=[names, NeighborListTransform(r_max=CUTOFF_A)]
    )


def silica(number=24, seed=3, temperature=300.0):
    rng = np.random.default_rng(seed)
    atoms = random_start({"Si": 1, "O": 2}, number, 2.2, rng)
    maxwell_boltzmann(atoms, temperature, rng)
    return atoms


def assert_like_calculator(model, network, glasses):
    found = model(*tensors(glasses))
    begin = 0
    for index, atoms in enumerate(glasses):
        reference = atoms.copy()
        reference.calc = calculator(network)
        forces = found["forces"][begin : begin + len(atoms)].numpy()
        begin += len(atoms)
        assert np.allclose(forces, reference.get_forces(), atol=1e-9)
        assert float(found["energy"][index]) == pytest.approx(reference.get_potential_energy())
        stress = reference.get_stress(voigt=False)
        assert np.allclose(found["stress"][index].numpy(), stress, atol=1e-9)


def test_padded_network_gives_what_the_plain_calculator_gives(networks):
    glasses = [silica(24, 1), silica(36, 2)]
    model = padded(networks[0])
    model.place(glasses)
    assert_like_calculator(model, networks[0], glasses)
    capacity = model.capacity
    for atoms in glasses:
        atoms.rattle(0.1, seed=4)
    assert_like_calculator(model, networks[0], glasses)
    # Denser: more pairs than there is room for.
    for atoms in glasses:
        atoms.set_cell(0.85 * atoms.cell, scale_atoms=True)
    assert_like_calculator(model, networks[0], glasses)
    assert model.capacity > capacity
    # A glass leaves: much padding.
    model.place(glasses[1:])
    assert_like_calculator(model, networks[0], glasses[1:])


def test_padding_contributes_nothing(networks):
    glasses = [silica(24, 1)]
    exact, roomy = padded(networks[0]), padded(networks[0])
    for model in (exact, roomy):
        model.place(glasses)
    expected = exact(*tensors(glasses))
    roomy.reserve(3 * exact.capacity)
    for key, value in roomy(*tensors(glasses)).items():
        assert torch.allclose(value, expected[key], rtol=1e-12, atol=1e-13), key


def test_a_batch_does_not_depend_on_what_was_moved_before(networks):
    """Else a state would be padded, slower and rounded otherwise, after one under pressure."""
    loose = silica(24, 1)
    dense = loose.copy()
    dense.set_cell(0.85 * dense.cell, scale_atoms=True)
    used, fresh = TorchEngine(padded(networks[0])), TorchEngine(padded(networks[0]))
    used.begin([dense], seed=1)
    for engine in (used, fresh):
        engine.begin([loose], seed=1)
    assert used.model.capacity == fresh.model.capacity
    assert torch.equal(used.batch.forces, fresh.batch.forces)


def test_forces_are_the_gradient_and_the_stress_the_strain_derivative(networks):
    glass = silica(24, 5)
    model = padded(networks[0])
    model.place([glass])
    found = model(*tensors([glass]))

    def energy(atoms):
        return float(model(*tensors([atoms]))["energy"][0])

    step = 1e-4
    up, down = glass.copy(), glass.copy()
    up.positions[7, 1] += step
    down.positions[7, 1] -= step
    assert float(found["forces"][7, 1]) == pytest.approx(
        -(energy(up) - energy(down)) / (2 * step), abs=1e-5
    )
    strain = np.eye(3)
    for sign, atoms in ((1, up := glass.copy()), (-1, down := glass.copy())):
        strain[0, 1] = strain[1, 0] = 0.5 * sign * step
        atoms.set_cell(glass.cell.array @ strain, scale_atoms=True)
    slope = (energy(up) - energy(down)) / (2 * step) / glass.get_volume()
    assert float(found["stress"][0, 0, 1]) == pytest.approx(slope, abs=1e-6)


def test_an_element_that_the_network_does_not_know_is_refused(networks):
    with pytest.raises(StructureError, match="it does not know Ge"):
        padded(networks[0]).place([Atoms("GeO2", cell=[9] * 3, pbc=True)])


class SpringCalculator(Calculator):
    """The same for ASE."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, forces=0.0):
        super().__init__()
        self.spring = Spring(forces=forces)

    def calculate(self, atoms=None, properties=(), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.spring.place([atoms])
        found = self.spring(*tensors([atoms]))
        stress = found["stress"][0].numpy()
        self.results = {
            "energy": float(found["energy"][0]),
            "forces": found["forces"].numpy(),
            "stress": stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        }


@pytest.mark.parametrize(
    "stage",
    [
        Stage("a", "npt", 40, 2.0, (50.0, 80.0), (0.0, 0.5), 5, 5),
        Stage("b", "nvt", 40, 2.0, (50.0, 80.0), None, 5, 5),
        Stage("c", "nve", 40, 2.0, None, None, 5, 5),
    ],
)
def test_with_the_same_random_numbers_it_moves_like_the_engine_of_ase(stage):
    coupling = Coupling(80.0, 200.0, 3.0)
    atoms = argon(1)
    batch = Batch([atoms], Spring(), 1)
    rng = np.random.default_rng(5)
    batch.normal = lambda *shape: torch.as_tensor(rng.normal(size=shape))
    ours = RampedBatch(batch, stage, coupling)
    atoms = atoms.copy()
    atoms.calc = SpringCalculator()
    theirs = RampedLangevin(atoms, stage, coupling, np.random.default_rng(5))
    for _ in range(stage.steps):
        ours.advance()
        theirs.advance()
    assert np.allclose(batch.positions.numpy(), atoms.positions, atol=1e-10)
    assert np.allclose(batch.momenta.numpy(), atoms.get_momenta(), atol=1e-10)
    assert np.allclose(batch.cells[0].numpy(), atoms.cell.array, atol=1e-10)
    assert not np.allclose(atoms.positions, argon(1).positions, atol=0.01)


STAGES = (
    Stage("squeeze", "npt", 40, 4.0, (50.0, 60.0), (0.0, 0.3), 5, 10),
    Stage("hold", "nvt", 20, 4.0, (60.0, 60.0), None, 10, 20),
    Stage("free", "nve", 20, 4.0, None, None, 10, 20),
)
LIMITS = Limits(4.0, 0.5, (0.5, 5.0), 1.5)
COUPLING = Coupling(100.0, 300.0, 3.0)
GLASSES = {f"glass{index:02d}": index for index in range(3)}


def jobs(limits=LIMITS):
    return {
        name: Job(
            "cold", name, None, STAGES, COUPLING, limits, 7, 8, {}, {"sha256": "abc"}, "torch"
        )
        for name in GLASSES
    }


def run(folder, *, engine=None, limits=LIMITS, glasses=None, **options):
    glasses = glasses or {name: argon(index) for name, index in GLASSES.items()}
    engine = engine or TorchEngine(Spring())
    return run_batch(jobs(limits), glasses, engine, folder, show_progress=False, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    return folder, run(folder)


def test_all_glasses_finish_and_are_different(finished):
    folder, records = finished
    assert {record["status"] for record in records.values()} == {"finished"}
    assert len({(folder / name / "series.csv").read_text() for name in GLASSES}) == 3


@pytest.mark.parametrize("failing", [15, 41, 55, 75])
def test_interrupted_batch_goes_on_to_the_same_bytes(tmp_path, finished, failing):
    folder, _ = finished
    with pytest.raises(Interrupted):
        run(tmp_path, engine=TorchEngine(Spring(failing=failing)))
    run(tmp_path)
    for name in GLASSES:
        for file in ("series.csv", "final.extxyz", "restart.npz"):
            assert (tmp_path / name / file).read_bytes() == (folder / name / file).read_bytes()


def test_interrupted_run_of_a_network_goes_on_to_the_same_bytes(tmp_path, networks):
    stages = (Stage("hold", "npt", 12, 0.5, (300.0, 300.0), (0.0, 0.0), 2, 4),)
    limits = Limits(50.0, 50.0, (0.5, 9.0), 0.0)
    job = {
        "glass00": Job("a", "glass00", None, stages, COUPLING, limits, 1, 2, {}, {}, "torch"),
        "glass01": Job("a", "glass01", None, stages, COUPLING, limits, 1, 2, {}, {}, "torch"),
    }

    class Stopping(PaddedNetwork):
        calls = 0

        def __call__(self, *where):
            Stopping.calls += 1
            if Stopping.calls == 8:
                signal.raise_signal(signal.SIGTERM)
            return super().__call__(*where)

    def go(folder, kind):
        model = kind(networks[0], ["O", "Si"], CUTOFF_A)
        glasses = {"glass00": silica(24, 1), "glass01": silica(36, 2)}
        return run_batch(job, glasses, TorchEngine(model), folder, show_progress=False)

    go(tmp_path / "whole", PaddedNetwork)
    with pytest.raises(Interrupted):
        go(tmp_path / "cut", Stopping)
    go(tmp_path / "cut", PaddedNetwork)
    for name in job:
        whole, cut = (tmp_path / each / name / "restart.npz" for each in ("whole", "cut"))
        assert whole.read_bytes() == cut.read_bytes()


def test_the_integrator_never_waits_for_the_device():
    stage = Stage("a", "npt", 40, 1.0, (300.0, 200.0), (0.0, 1.0), 10, 10)
    moving = RampedBatch(Batch([argon(1), argon(2)], Spring(), 1), stage, COUPLING)
    with Waits() as waits:
        moving.advance(3)
    assert waits.seen == []


def test_a_hot_batch_of_a_network_goes_on_to_the_same_bits_from_a_list_built_elsewhere(networks):
    glasses = [silica(24, 1, 30_000.0), silica(36, 2, 30_000.0)]
    stage = Stage("a", "npt", 40, 1.0, (30_000.0, 20_000.0), (0.0, 1.0), 10, 10)
    batches = [
        RampedBatch(
            Batch([each.copy() for each in glasses], padded(networks[0]), 1), stage, COUPLING
        )
        for _ in range(2)
    ]
    whole, cut = batches
    whole.advance(17)
    cut.restore(whole.arrays())
    whole.advance(23)
    cut.advance(23)
    assert whole.batch.model._edges.builds > 2
    for name, value in whole.arrays().items():
        assert np.array_equal(value, cut.arrays()[name]), name


def test_a_glass_that_trips_leaves_and_the_batch_goes_on(tmp_path):
    glasses = {name: argon(index) for name, index in GLASSES.items()}
    glasses["glass01"].positions[1] = glasses["glass01"].positions[0] + [1.0, 0.0, 0.0]
    records = run(tmp_path, glasses=glasses)
    assert [record["status"] for record in records.values()] == ["finished", "stopped", "finished"]
    assert "1.000 Å apart" in records["glass01"]["reason"]


class Doubting(Spring):
    """Another member, which has its doubts about the second glass alone."""

    def __call__(self, positions, cells):
        found = super().__call__(positions, cells)
        if len(self.sizes) == 3:
            found["forces"][self.sizes[0]] += 0.3
        return found


def test_a_glass_about_which_the_committee_disagrees_is_set_aside_and_offered(tmp_path):
    limits = Limits(4.0, 0.5, (0.5, 5.0), 1.5, 0.25)
    engine = TorchEngine(Spring(), [Doubting()])
    records = run(tmp_path, engine=engine, limits=limits, spread_every=10)
    assert [record["status"] for record in records.values()] == ["finished", "stopped", "finished"]
    # two members, 0.3 eV/Å apart in each of three components: sqrt(3 * 0.3² / 2)
    spread = np.sqrt(3 * 0.3**2 / 2)
    record = json.loads((tmp_path / "glass01/record.json").read_text())
    assert record["largest_force_spread_eV_A"] == pytest.approx(spread)
    assert f"disagrees by {spread:.3f} eV/Å" in record["reason"]
    assert len(record["offending_frame"]["positions_A"]) == 32
    assert record["offending_frame"]["atom"] == 0
    offered = ase.io.read(tmp_path / "glass01/offered.extxyz")
    assert offered.info["error_eV_per_A"] == pytest.approx(spread)
    assert offered.info["config_id"] == "md/cold/glass01/000000"
    assert not (tmp_path / "glass00/offered.extxyz").exists()
    assert records["glass00"]["largest_force_spread_eV_A"] == pytest.approx(0.0)


class Waiting(Spring):
    """A member that answers only once the batch has moved on."""

    def __init__(self, moving):
        super().__init__()
        self.moving, self.seen = moving, []

    def __call__(self, positions, cells):
        # one evaluation before the first question, five between it and the next sample
        deadline = time.monotonic() + 20.0
        while self.moving.calls < 4 and time.monotonic() < deadline:
            time.sleep(0.001)
        self.seen.append(self.moving.calls)
        return super().__call__(positions, cells)


def test_the_batch_moves_on_while_the_committee_thinks(tmp_path):
    moving = Spring()
    member = Waiting(moving)
    limits = Limits(4.0, 0.5, (0.5, 5.0), 1.5, 0.25)
    records = run(tmp_path, engine=TorchEngine(moving, [member]), limits=limits, spread_every=60)
    assert 4 <= member.seen[0] <= 6
    assert {record["status"] for record in records.values()} == {"finished"}


@pytest.mark.parametrize("failing", [12, 16, 20])
def test_a_doubt_is_heard_at_the_same_sample_by_a_run_that_goes_on(tmp_path, failing):
    limits = Limits(4.0, 0.5, (0.5, 5.0), 1.5, 0.25)
    options = {"limits": limits, "spread_every": 10}

    class Later(Doubting):
        """Has no doubts at first."""

        def __call__(self, positions, cells):
            found = super().__call__(positions, cells)
            if cells[0, 0, 0] == EDGE_A:
                found["forces"][self.sizes[0]] -= 0.3
            return found

    EDGE_A = argon(0).cell[0, 0]
    run(tmp_path / "whole", engine=TorchEngine(Spring(), [Later()]), **options)
    with pytest.raises(Interrupted):
        run(tmp_path / "cut", engine=TorchEngine(Spring(failing=failing), [Later()]), **options)
    run(tmp_path / "cut", engine=TorchEngine(Spring(), [Later()]), **options)
    for name in GLASSES:
        for file in ("series.csv", "final.extxyz"):
            whole, cut = (tmp_path / each / name / file for each in ("whole", "cut"))
            assert whole.read_bytes() == cut.read_bytes()
    one, other = (
        json.loads((tmp_path / each / "glass01/record.json").read_text())
        for each in ("whole", "cut")
    )
    assert one["status"] == other["status"] == "stopped"
    for key in ("steps", "reason", "offending_frame"):
        assert one[key] == other[key]
    assert one["steps"] == 15


def test_a_doubt_at_the_end_stops_the_glass_all_the_same(tmp_path):
    class AtLast(Spring):
        def __call__(self, positions, cells):
            found = super().__call__(positions, cells)
            found["forces"][self.sizes[0]] += 0.3 * (self.calls == 2)
            return found

    limits = Limits(4.0, 0.5, (0.5, 5.0), 1.5, 0.25)
    engine = TorchEngine(Spring(), [AtLast()])
    records = run(tmp_path, engine=engine, limits=limits, spread_every=80)
    assert [record["status"] for record in records.values()] == ["finished", "stopped", "finished"]


def test_the_engine_of_ase_asks_the_committee_too(tmp_path):
    limits = Limits(4.0, 0.5, (0.5, 5.0), 1.5, 0.25)
    job = Job("cold", "glass00", None, STAGES, COUPLING, limits, 7, 8, {}, {"sha256": "abc"})
    record = run_job(
        job, argon(0), SpringCalculator(), tmp_path, committee=[SpringCalculator(0.3)],
        spread_every=10, show_progress=False,
    )  # fmt: skip
    assert record["status"] == "stopped"
    assert record["largest_force_spread_eV_A"] == pytest.approx(np.sqrt(3 * 0.3**2 / 2))
    assert (tmp_path / "offered.extxyz").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("bulk_modulus_GPa", "pressure_GPa"), CASES)
def test_volume_has_the_exact_mean_and_fluctuations(bulk_modulus_GPa, pressure_GPa):
    mean, variance = exact_volume(bulk_modulus_GPa, pressure_GPa)
    glasses = [gas(mean ** (1 / 3), seed) for seed in range(24)]
    stage = Stage("s", "npt", 10_000, 2.0, (TEMPERATURE_K,) * 2, (pressure_GPa,) * 2, 1, 1)
    coupling = Coupling(50.0, 100.0, bulk_modulus_GPa + pressure_GPa + 0.01)
    batch = Batch(glasses, VolumeSpring(bulk_modulus_GPa * units.GPa, VOLUME_A3), 3)
    integrator = RampedBatch(batch, stage, coupling)
    check_ensemble(integrator.advance, batch, stage.steps, 1500, mean, variance)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_cuda_graph_gives_what_the_plain_network_gives(networks, tmp_path):
    import copy

    network = copy.deepcopy(networks[0]).to("cuda")
    glasses = [silica(24, 1), silica(36, 2)]
    model = PaddedNetwork(network, ["O", "Si"], CUTOFF_A)
    model.place(glasses)
    reference = padded(networks[0])
    reference.place(glasses)
    for scale in (1.0, 1.01, 0.85):
        for atoms in glasses:
            atoms.rattle(0.05, seed=1)
            atoms.set_cell(scale * atoms.cell, scale_atoms=True)
        found = model(*(x.to("cuda") for x in tensors(glasses)))
        for key, expected in reference(*tensors(glasses)).items():
            assert torch.allclose(found[key].cpu(), expected, atol=1e-8), key
    assert model.graph
    assert model.captures == 2
