"""Fused convolutions: on a GPU, or on a CPU by Triton's interpreter."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton", reason="Triton, which runs the kernels, is for Linux")

from ase import Atoms  # noqa: E402
from e3nn import o3  # noqa: E402

from glassml.campaign.errors import StructureError  # noqa: E402
from glassml.md.engines.torchmd import Batch, RampedBatch  # noqa: E402
from glassml.md.protocol import Coupling, Stage  # noqa: E402
from glassml.md.start import maxwell_boltzmann, random_start  # noqa: E402
from glassml.potential import convolution, listed, padded  # noqa: E402
from glassml.potential.packages import PotentialError  # noqa: E402
from glassml.potential.padded import load_network  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SMALL = Path("resources/potential_small/m0.nequip.zip")
LARGE = Path("resources/potential/m0.nequip.zip")
CUTOFF_A, CHANNELS = 3.0, 32
VECTORS = torch.tensor([[0.9, -0.4, 1.1], [0.3, 1.6, 0.2], [-0.6, 1.2, -0.9]], dtype=torch.float32)
#: Every atom is the neighbour of every other, each in both directions.
FIRST, SECOND = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([1, 2, 0, 2, 0, 1])


@pytest.fixture(autouse=True)
def single_precision():
    """Make tensors of single precision, whatever NequIP left as the default."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    yield
    torch.set_default_dtype(before)


class Reference(torch.nn.Module):
    """What NequIP has in the place of a convolution, with weights that are given."""

    def __init__(self, largest_in, largest_edge, largest_out):
        super().__init__()
        features = o3.Irreps(
            [(CHANNELS, (degree, (-1) ** degree)) for degree in range(largest_in + 1)]
        )
        harmonics = o3.Irreps.spherical_harmonics(largest_edge)
        paths = convolution.paths_of(largest_in, largest_edge, largest_out)
        # NequIP's order: by what comes out
        order = sorted(range(len(paths)), key=lambda index: paths[index][2])
        middle = o3.Irreps(
            [(CHANNELS, (paths[index][2], (-1) ** paths[index][2])) for index in order]
        )
        instructions = [
            (l1, l2, order.index(index), "uvu", True) for index, (l1, l2, _) in enumerate(paths)
        ]
        self.tp = o3.TensorProduct(
            features, harmonics, middle, instructions, shared_weights=False, internal_weights=False
        )
        self.harmonics = harmonics

    def forward(self, x, vectors, weights):
        """Multiply and sum as NequIP does."""
        harmonics = o3.spherical_harmonics(self.harmonics, vectors, True, "component")
        of_pairs = self.tp(x[SECOND.to(x.device)], harmonics, weights)
        return x.new_zeros(len(x), of_pairs.shape[1]).index_add(0, FIRST.to(x.device), of_pairs)


def cubics(numbers, generator):
    """Give a table of cubics, and a function that gives its values at distances."""
    table = torch.randn(
        (convolution.INTERVALS, 4, numbers), generator=generator, dtype=torch.float64
    )

    def weights(distances):
        along = distances * convolution.INTERVALS / CUTOFF_A
        interval = along.detach().floor().long()
        part = (along - interval)[:, None]
        a, b, c, d = table.to(distances.device)[interval].to(distances.dtype).unbind(1)
        return a + part * (b + part * (c + part * d))

    return table, weights


@pytest.mark.parametrize("most", [(0, 2, 2), (2, 2, 2), (2, 2, 0), (1, 1, 1)])
def test_sums_and_derivatives_are_those_of_e3nn(most):
    generator = torch.Generator().manual_seed(1)
    reference = Reference(*most)
    table, weights = cubics(reference.tp.weight_numel, generator)
    ours = convolution.Convolution(reference, table, CUTOFF_A).to(DEVICE)
    x = torch.randn((3, reference.tp.irreps_in1.dim), generator=generator)
    vectors = torch.stack(
        [VECTORS[0], VECTORS[1], -VECTORS[0], VECTORS[2], -VECTORS[1], -VECTORS[2]]
    )
    results = []
    for function in (
        lambda x, v: reference(x, v, weights(v.norm(dim=1))),
        lambda x, v: ours(x, v, None, FIRST.to(DEVICE), SECOND.to(DEVICE)),
    ):
        one, other = (each.clone().requires_grad_() for each in (x, vectors))
        sums = function(one.to(DEVICE), other.to(DEVICE)) if results else function(one, other)
        scale = torch.linspace(-1, 1, sums.numel()).reshape(sums.shape).to(sums.device)
        (scale * sums).sum().backward()
        results.append([sums.detach().cpu(), one.grad, other.grad])
    for expected, found in zip(*results, strict=True):
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_pairs_beyond_the_cutoff_add_nothing():
    generator = torch.Generator().manual_seed(1)
    reference = Reference(1, 1, 1)
    table, _ = cubics(reference.tp.weight_numel, generator)
    ours = convolution.Convolution(reference, table, CUTOFF_A).to(DEVICE)
    x = torch.randn((3, reference.tp.irreps_in1.dim), generator=generator)
    far = (CUTOFF_A * torch.nn.functional.normalize(VECTORS, dim=1)).repeat(2, 1).requires_grad_()
    sums = ours(x.to(DEVICE), far.to(DEVICE), None, FIRST.to(DEVICE), SECOND.to(DEVICE))
    sums.sum().backward()
    assert not sums.any()
    assert not far.grad.any()


@pytest.fixture(scope="module")
def quick():
    """Look at a crowd of few atoms, since they are interpreted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(padded, "CROWD_SIDE", 2 if DEVICE == "cpu" else 4)
        yield


def boxes():
    """Give two boxes, atoms not in them, one smaller than the cutoff."""
    rng = np.random.default_rng(3)
    made = [random_start({"Si": 1, "O": 2}, 3, 1.6, rng), Atoms("SiO2", cell=[5.0, 9.0, 9.0])]
    made[1].set_positions([[0, 0, 0], [1.5, 0.3, 0], [-0.4, 1.4, 0.3]])
    made[1].pbc = True
    for atoms in made:
        atoms.positions += 9.0 * rng.normal(size=3)
    return made


def tensors(atoms):
    positions = np.concatenate([each.positions for each in atoms])
    cells = np.array([each.cell.array for each in atoms])
    return torch.as_tensor(positions).to(DEVICE), torch.as_tensor(cells).to(DEVICE)


def test_a_network_gives_what_it_gave(quick):
    exact = load_network(SMALL, DEVICE, accelerate=False, graph=False)[0]
    short, described = load_network(SMALL, DEVICE, shortcuts=("fused",))
    assert described["backend"].startswith("fused")
    assert described["shortcuts"] == ["fused"]
    atoms = boxes()
    for model in (exact, short):
        model.place(atoms)
    positions, cells = tensors(atoms)
    for builds, move in ((1, 0.0), (1, 0.02), (2, 0.4)):
        positions = positions + move * torch.sin(torch.arange(positions.numel())).reshape(
            positions.shape
        ).to(DEVICE)
        expected, found = exact(positions, cells), short(positions, cells)
        for name, value in expected.items():
            assert torch.allclose(found[name], value, rtol=1e-5, atol=2e-5), name
        assert short._edges.builds == builds


def test_a_table_has_the_radial_networks_values_and_slopes():
    network = padded._network(LARGE, "cpu")
    parts = {type(module).__name__: module for module in network.modules()}
    bessel, factor = parts["BesselEdgeLengthEncoding"], parts["ApplyFactor"]
    mlp = parts["InteractionBlock"].edge_mlp
    table = convolution.radial_table(bessel, factor, mlp)
    relative = torch.linspace(0.05, 0.99, 41, dtype=torch.float64)[:, None]
    embedded = factor(bessel({bessel.norm_length_field: relative}))[bessel.edge_invariant_field]
    expected = mlp(embedded).detach().double()
    along = relative[:, 0] * convolution.INTERVALS
    part = (along - along.floor())[:, None]
    a, b, c, d = table[along.long()].unbind(1)
    found = a + part * (b + part * (c + part * d))
    assert torch.allclose(found, expected, atol=1e-5 * float(expected.abs().max()))
    # continuous in value and slope, and nothing at the cutoff
    assert torch.allclose(table[:-1].sum(1), table[1:, 0], atol=1e-12)
    ends = table[:-1, 1] + 2 * table[:-1, 2] + 3 * table[:-1, 3]
    assert torch.allclose(ends, table[1:, 1], atol=1e-12)
    assert torch.allclose(table[-1].sum(0), torch.zeros_like(a[0]), atol=1e-12)


def test_wrong_forces_are_refused(quick, monkeypatch):
    right = convolution.radial_table
    monkeypatch.setattr(convolution, "radial_table", lambda *each: 1.1 * right(*each))
    with pytest.raises(PotentialError, match=r"shortcut 'fused' are off by .* eV/Å"):
        load_network(SMALL, DEVICE, shortcuts=("fused",))


def test_features_that_the_kernels_do_not_know_are_refused(trained, quick):
    with pytest.raises(PotentialError, match=r"a power of two from 32 on: take it out"):
        load_network(trained / "model.nequip.zip", DEVICE, shortcuts=("fused",))


def test_without_triton_nothing_changes(trained, monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    network, described = load_network(trained / "model.nequip.zip", "cpu", shortcuts=("fused",))
    assert described["backend"] == "eager"
    assert type(network) is padded.PaddedNetwork


def test_a_gpu_without_triton_is_told(trained, monkeypatch):
    monkeypatch.setattr(padded, "choose_device", lambda _: "cuda")
    monkeypatch.setattr(padded, "has_triton", lambda _: False)
    with pytest.raises(PotentialError, match=r"'fused' needs Triton.*: install it, or take it out"):
        load_network(trained / "model.nequip.zip", shortcuts=("fused",))


@pytest.fixture
def few_steps(monkeypatch):
    """Make few steps, since they are interpreted."""
    monkeypatch.setattr(listed.ListedNetwork, "steps_at_once", (2, 1))
    monkeypatch.setattr(listed, "WIDER", 9.5)


@pytest.mark.usefixtures("quick", "few_steps")
def test_steps_go_where_those_of_the_network_go_also_with_lists_that_are_too_old():
    atoms = boxes()
    rng = np.random.default_rng(1)
    for each in atoms:
        maxwell_boltzmann(each, 3000.0, rng)
    exact = load_network(SMALL, DEVICE, accelerate=False, graph=False)[0]
    short = load_network(SMALL, DEVICE, shortcuts=("fused",), skin_A=0.04)[0]
    # without random numbers, which are drawn for several steps at once
    stage = Stage("a", "nve", 2, 1.0, None, None, 10, 10)
    ends = []
    for model in (exact, short):
        batch = Batch(atoms, model, 7)
        builds = model._edges.builds
        ramped = RampedBatch(batch, stage, Coupling(50.0, 200.0, 37.0))
        ramped.advance(2)
        ends.append((batch.positions, batch.cells, batch.energy))
    assert model._edges.builds > builds + 1
    assert short._reach_A > short.cutoff_A + short.skin_A
    for expected, found in zip(*ends, strict=True):
        assert torch.allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("quick", "few_steps")
def test_atoms_that_fly_are_refused():
    short = load_network(SMALL, DEVICE, shortcuts=("fused",))[0]
    atoms = boxes()
    for each in atoms:
        each.set_momenta(np.full((3, 3), 200.0))
    ramped = RampedBatch(
        Batch(atoms, short, 7), Stage("a", "nve", 2, 9.0, None, None, 1, 1), Coupling(50, 200, 37)
    )
    with pytest.raises(StructureError, match=r"move by more than 2\.25 Å in 2 steps"):
        ramped.advance(2)
