"""Labels of one functional and a package of another: told apart, refused, or bridged."""

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.io import read, write

from glassml.campaign.config.potential import Network, Training
from glassml.potential.calculators import load_calculator
from glassml.potential.functional_gap import energy_gap, shifts_of
from glassml.potential.members import Dataset, Member, train_member
from glassml.potential.packages import PotentialError
from glassml.potential.training_config import package_model, with_kernels
from shipped_labels import RESOURCES, shipped

PACKAGE = RESOURCES / "potential_small_pbesol" / "m0.nequip.zip"
R2SCAN = "reference/labels.extxyz.gz"


def test_constants_per_element_are_found_again():
    rng = np.random.default_rng(2)
    calculator, constants = LennardJones(rc=5.0), {"O": -3.25, "Si": 7.5}
    labels = []
    for atoms in [atoms for atoms in shipped(R2SCAN) if len(atoms) <= 24][::10]:
        bare = atoms.copy()
        bare.rattle(0.01, rng=rng)
        bare.calc = calculator
        energy = bare.get_potential_energy()
        bare.calc = None
        bare.info["REF_energy"] = energy + sum(constants[symbol] for symbol in bare.symbols)
        labels.append(bare)
    assert len({str(atoms.symbols.formula.reduce()[0]) for atoms in labels}) > 1
    found, typical = energy_gap(calculator, labels)
    assert found == pytest.approx(constants)
    assert typical == pytest.approx((2 * -3.25 + 7.5) / 3)


def test_shipped_labels_and_packages_tell_functionals_apart():
    calculator = load_calculator(PACKAGE, device="cpu")
    assert shifts_of(calculator) == pytest.approx({"O": 5.049, "Si": 13.782}, abs=1e-3)
    of_pbesol = shipped("reference_pbesol/labels.extxyz.gz")[::100]
    assert abs(energy_gap(calculator, of_pbesol)[1]) < 0.05
    gap = energy_gap(calculator, shipped(R2SCAN)[::100])[1]
    assert gap == pytest.approx(-11.1, abs=0.2)


@pytest.fixture
def dataset(tmp_path):
    frames = [
        atoms
        for atoms in shipped(R2SCAN)
        if len(atoms) <= 24 and atoms.info["config_type"] in {"crystal", "glass"}
    ]
    write(tmp_path / "train.extxyz", frames[:12])
    write(tmp_path / "validation.extxyz", frames[12:14])
    (tmp_path / "isolated.json").write_text("{}")
    return Dataset(
        tmp_path / "train.extxyz", tmp_path / "validation.extxyz", tmp_path / "isolated.json"
    )


def train(dataset, folder, functional):
    settings = Training(max_epochs=1, batch_size=4, learning_rate=1e-5)
    train_member(
        Member(folder, 0, 0, 1),
        dataset,
        network=Network(),
        settings=settings,
        package=PACKAGE,
        package_functional=functional,
        device="cpu",
    )


def test_a_package_of_another_functional_is_not_tuned_unasked(dataset, tmp_path):
    with pytest.raises(
        PotentialError, match=r"differ .* by 11\.\d+ eV per atom.*package_functional"
    ):
        train(dataset, tmp_path / "m0", None)


@pytest.mark.slow
def test_a_package_of_another_functional_is_shifted_before_it_is_tuned(dataset, tmp_path):
    train(dataset, tmp_path / "m0", "PBEsol")
    tuned = load_calculator(tmp_path / "m0" / "model.nequip.zip", device="cpu")
    assert abs(energy_gap(tuned, read(dataset.train, index=":"))[1]) < 0.05
    own, new = shifts_of(load_calculator(PACKAGE, device="cpu")), shifts_of(tuned)
    assert (new["Si"] - own["Si"] + 2 * (new["O"] - own["O"])) / 3 == pytest.approx(-11.1, abs=0.2)


def test_kernels_are_named_where_the_network_is():
    shifted = package_model(PACKAGE, {"O": 1.0, "Si": 2.0})
    compiled = with_kernels(shifted, "compile")
    assert compiled["model"]["compile_mode"] == "compile"
    assert "compile_mode" not in compiled
    both = with_kernels(shifted, "openequivariance")
    assert both["model"]["model"]["compile_mode"] == "compile"
    assert [item["modifier"] for item in both["modifiers"]] == ["enable_OpenEquivariance"]
