"""Compiled models and kernels: found where they work, refused where they err, and said so."""

import json
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.io import read

from glassml.campaign.config.potential import Verification
from glassml.campaign.errors import GlassmlError
from glassml.potential import PotentialError, calculators, compilation, load_calculator
from glassml.potential.calculators import package_species_and_cutoff
from glassml.potential.compilation import accelerations, compile_package
from glassml.potential.packages import COMPILED_MODEL, machine, with_openequivariance
from glassml.potential.padded import PaddedCalculator, PaddedNetwork
from glassml.potential.verification import choose_frames, verify

BOUNDS = Verification()


@pytest.fixture
def package(tmp_path):
    path = tmp_path / "model.nequip.zip"
    path.write_bytes(b"a package")
    return path


def note(folder, backend, **changes):
    folder.mkdir(exist_ok=True)
    record = {"backend": backend, "reason": "", "machine": machine("cpu") | changes}
    (folder / "compiled.json").write_text(json.dumps(record))
    return folder


def test_a_corrupted_compiled_model_is_refused(package, tmp_path):
    folder = note(tmp_path / "compiled", "aotinductor")
    (folder / COMPILED_MODEL).write_bytes(b"PK torn")
    with pytest.raises(PotentialError, match="cannot be loaded"):
        load_calculator(package, folder, device="cpu")


def test_a_model_of_another_machine_is_not_used(tmp_path):
    folder = note(tmp_path / "compiled", "aotinductor", torch="1.0")
    assert calculators.choose_backend(folder, "cpu") == "eager"
    folder = note(tmp_path / "compiled", "aotinductor")
    assert calculators.choose_backend(folder, "cpu") == "aotinductor"


@pytest.mark.parametrize("wanted", ["auto", "always"])
def test_what_cannot_be_compiled_is_said_or_refused(package, tmp_path, monkeypatch, wanted):
    def fail(command, threads, target):
        raise PotentialError("no compiler here")

    monkeypatch.setattr(compilation, "run_nequip", fail)
    arguments = {"wanted": wanted, "species": "Si", "device": "cpu", "threads": 1}
    if wanted == "always":
        with pytest.raises(PotentialError, match="no compiler here"):
            compile_package(package, tmp_path / "compiled", **arguments)
        return
    record = compile_package(package, tmp_path / "compiled", **arguments)
    assert record["backend"] == "eager"
    assert "no compiler here" in record["reason"]
    assert record == json.loads((tmp_path / "compiled" / "compiled.json").read_text())


def test_a_compiled_model_that_cannot_be_evaluated_leaves_nothing(package, tmp_path, monkeypatch):
    """As on GPUs where loading ended with a segmentation fault."""
    folder = tmp_path / "compiled"

    def write_nonsense(command, threads, target):
        (folder / COMPILED_MODEL).write_bytes(b"nonsense")

    monkeypatch.setattr(compilation, "run_nequip", write_nonsense)
    record = compile_package(package, folder, wanted="auto", species="Si", device="cpu", threads=1)
    assert record["backend"] == "eager"
    assert "first evaluation ends with code 1" in record["reason"]
    assert not (folder / COMPILED_MODEL).exists()


def test_a_cuda_graph_is_tried_on_a_gpu():
    assert accelerations("cpu") == ("aotinductor",)
    assert accelerations("cuda") == ("cuda_graph", "aotinductor")


@pytest.mark.slow
def test_the_padded_calculator_agrees_with_that_of_nequip(trained, dataset, tmp_path):
    package = trained / "model.nequip.zip"
    calculator = load_calculator(package, note(tmp_path / "compiled", "cuda_graph"), device="cpu")
    assert calculator.parameters["backend"] == "cuda_graph"
    frames = choose_frames(read(dataset / "test.extxyz", ":"), np.random.default_rng(0))
    reference = load_calculator(package, device="cpu")
    rng = np.random.default_rng(1)
    checks = verify(reference, calculator, frames, bounds=BOUNDS, rng=rng)
    assert not [check for check in checks if not check.passed]
    pair = Atoms("SiO", [[0.0, 0.0, 0.0], [0.3, 0.4, 1.5]])
    energies, forces = [], []
    for each in (reference, calculator):
        pair.calc = each
        energies.append(pair.get_potential_energy())
        forces.append(pair.get_forces())
    assert energies[0] == pytest.approx(energies[1], abs=1e-5)
    assert np.allclose(*forces, atol=1e-4)
    pair.pbc = [True, False, False]
    with pytest.raises(GlassmlError, match="periodic in all directions or none"):
        pair.get_potential_energy()


class TensorProductConv(torch.nn.Module):
    """What OpenEquivariance computes, by e3nn, so that it runs on a CPU; with a planted error."""

    error = 0.0

    def __init__(self, problem, **options):
        super().__init__()
        from e3nn.o3 import TensorProduct

        irreps_in, irreps_edge, irreps_out, instructions = problem
        self.product = TensorProduct(
            irreps_in,
            irreps_edge,
            irreps_out,
            instructions,
            shared_weights=False,
            internal_weights=False,
        )

    def forward(self, x, edge_attr, edge_weight, edge_dst, edge_src):
        messages = self.product(x[edge_src], edge_attr, edge_weight)
        total = torch.zeros(len(x), messages.shape[1], dtype=messages.dtype)
        total = total.index_add(0, edge_dst, messages)
        # the backward pass of a wrong kernel: right energies, wrong forces
        return total + self.error * (total - total.detach())


@pytest.fixture
def kernels(monkeypatch):
    """Stand in for OpenEquivariance on a CPU."""
    module = ModuleType("openequivariance")
    module.TPProblem = lambda *arguments, **_: arguments
    module.TensorProductConv = TensorProductConv
    module.torch_to_oeq_dtype = lambda dtype: dtype
    monkeypatch.setitem(sys.modules, "openequivariance", module)
    return TensorProductConv


@pytest.mark.slow
@pytest.mark.parametrize("error", [0.0, 0.01])
def test_kernels_with_slightly_wrong_forces_are_refused(
    kernels, error, trained, dataset, monkeypatch
):
    monkeypatch.setattr(kernels, "error", error)
    package = trained / "model.nequip.zip"
    species, cutoff = package_species_and_cutoff(package)
    network = with_openequivariance(load_calculator(package, device="cpu").model).eval()
    assert [m for m in network.modules() if isinstance(m, TensorProductConv)]
    calculator = PaddedCalculator(PaddedNetwork(network, species, cutoff))
    frames = choose_frames(read(dataset / "test.extxyz", ":"), np.random.default_rng(0))
    reference = load_calculator(package, device="cpu")
    rng = np.random.default_rng(1)
    checks = verify(reference, calculator, frames, bounds=BOUNDS, rng=rng)
    failed = {check.name for check in checks if not check.passed}
    assert ("package: forces" in failed) == (error > 0)
    assert "package: energy" not in failed
    assert bool(failed) == (error > 0)
