"""Real GPAW calculations, as small as can be: forces and stress are slopes of the energy."""

import hashlib
from typing import get_args

import numpy as np
import pytest
from ase import Atoms
from ase.io import read
from ase.spacegroup import crystal

from glassml.campaign.config import parse_campaign
from glassml.campaign.config.dft import Dft, Functional
from glassml.campaign.errors import ConfigError, StructureError
from glassml.campaign.store import LabelStore
from glassml.dft.calculation import NotConvergedError, calculate, climb, gpaw_parameters
from glassml.dft.collecting import labelled_configurations, manifest, write_compressed
from glassml.dft.seeding import seed_store
from glassml.dft.settings import determining_settings, require_functional, require_setups
from glassml.dft.shard import label_shard

DFT = Dft(cutoff_eV=300, kpoint_spacing_per_A=5.0, density_tolerance=1e-6, energy_tolerance_eV=1e-6)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stishovite():
    atoms = crystal(
        ["Si", "O"],
        [(0, 0, 0), (0.3062, 0.3062, 0)],
        spacegroup=136,
        cellpar=[4.179, 4.179, 2.666, 90, 90, 90],
    )
    atoms.rattle(0.05, seed=3)
    return atoms


@pytest.fixture(scope="module")
def label(stishovite, tmp_path_factory):
    return calculate(stishovite, DFT, log=tmp_path_factory.mktemp("dft") / "log.txt")


def test_the_record_says_how_far_the_scf_came(label):
    assert label.scf["iterations"] > 3
    assert label.scf["log10_density"] < -5.5


def test_forces_are_the_slope_of_the_energy(stishovite, label):
    step = 0.01
    energies = []
    for sign in (-1, 1):
        moved = stishovite.copy()
        moved.positions[2, 1] += sign * step
        energies.append(calculate(moved, DFT).energy)
    slope = -(energies[1] - energies[0]) / (2 * step)
    # 300 eV leaves an egg-box error of some hundredths of eV/Å; forces here are of the order of 1.
    assert slope == pytest.approx(label.forces[2, 1], abs=0.05)


def test_stress_is_symmetric_under_relabelling_of_axes(stishovite, label):
    """Tension positive, and in Voigt order: swapping x and z swaps the components."""
    swapped = stishovite.copy()
    axes = [2, 1, 0]
    swapped.set_cell(stishovite.cell.array[axes][:, axes])
    swapped.positions = stishovite.positions[:, axes]
    stress = calculate(swapped, DFT).stress
    assert stress[[2, 1, 0, 5, 4, 3]] == pytest.approx(label.stress, abs=2e-4)


def test_a_compressed_crystal_has_negative_stress(stishovite, label):
    squeezed = stishovite.copy()
    squeezed.set_cell(stishovite.cell * 0.95, scale_atoms=True)
    assert calculate(squeezed, DFT).stress[:3].mean() < label.stress[:3].mean()


def test_an_isolated_oxygen_atom_follows_hund():
    """The triplet lies below the spin-paired atom by more than 1 eV."""
    from gpaw import GPAW

    atom = Atoms("O", cell=[5.0, 5.2, 5.4], pbc=True)
    dft = DFT.model_copy(update={"xc": "PBEsol"})
    label = calculate(atom, dft)
    assert label.stress is None
    paired = atom.copy()
    parameters = gpaw_parameters(atom, dft) | {"spinpol": False}
    parameters["occupations"] = {"name": "fermi-dirac", "width": dft.smearing_eV}
    paired.calc = GPAW(txt=None, **parameters)
    assert label.energy < paired.get_potential_energy(force_consistent=True) - 1.0


def test_states_of_an_isolated_atom_are_filled_one_by_one_with_a_meta_gga():
    atom = Atoms("O", cell=[5.0, 5.2, 5.4], pbc=True)
    for xc, width in (("r2SCAN", 0.0), ("PBEsol", DFT.smearing_eV)):
        dft = DFT.model_copy(update={"xc": xc})
        assert gpaw_parameters(atom, dft)["occupations"]["width"] == width
        assert determining_settings(atom, dft)["smearing_eV"] == width


def test_an_unconverged_scf_is_never_a_success(stishovite, tmp_path):
    hasty = DFT.model_copy(update={"max_iterations": 3})
    with pytest.raises(NotConvergedError, match="3 iterations"):
        calculate(stishovite, hasty, log=tmp_path / "log.txt")
    record = climb(stishovite, hasty, ["standard", "smeared"], tmp_path / "log.txt")
    assert record["status"] == "failed"
    assert "energy" not in record


def test_labels_are_collected_shipped_and_seed_another_store(stishovite, tmp_path):
    from ase.io import write

    store = LabelStore(tmp_path / "store")
    stishovite = stishovite.copy()
    stishovite.info |= {"config_type": "rattled", "config_id": "s/000000", "parent": "s/0"}
    first = label_shard([stishovite], DFT, store)
    write(tmp_path / "s.extxyz", stishovite)
    found = list(labelled_configurations([tmp_path / "s.extxyz"], store, DFT))
    write_compressed(tmp_path / "labels.extxyz.gz", [atoms for atoms, _ in found])
    again = tmp_path / "again.extxyz.gz"
    write_compressed(again, [atoms for atoms, _ in found])
    assert again.read_bytes() == (tmp_path / "labels.extxyz.gz").read_bytes()

    shipped = read(again)
    assert shipped.info["REF_energy"] == pytest.approx(first.records[0]["energy"], abs=1e-9)
    other = LabelStore(tmp_path / "other")
    assert seed_store(other, again, DFT) == {"taken": 1, "other_settings": 0}
    with pytest.raises(StructureError, match=r"none of the 1 labels .*dft\.xc: r2SCAN, 310 eV"):
        seed_store(other, again, DFT.model_copy(update={"cutoff_eV": 310}))
    with pytest.raises(StructureError, match=r"none of the 1 labels .*dft\.xc: PBEsol"):
        seed_store(other, again, DFT.model_copy(update={"xc": "PBEsol"}))
    families = {"c": {"generator": "crystal", "count": 1, "polymorphs": ["stishovite"]}}
    campaign = parse_campaign({"name": "ship", "configurations": {"families": families}, "md": {}})
    campaign = campaign.model_copy(update={"dft": DFT})
    record = manifest(found, [tmp_path / "s.extxyz"], again, campaign)
    assert record["counts"] == {"labelled": 1, "failed": 0, "not_calculated": 0}
    assert record["files"][again.name] == hashlib.sha256(again.read_bytes()).hexdigest()
    assert record["settings"]["cutoff_eV"] == DFT.cutoff_eV
    assert set(record["setups"]) == {"Si", "O"}
    assert record["versions"]["labels"]["gpaw"] == {record["versions"]["file"]["gpaw"]: 1}
    second = label_shard([stishovite], DFT, other)
    assert second.computed == 0
    assert np.allclose(second.records[0]["forces"], first.records[0]["forces"], atol=1e-8)


def test_seeding_from_what_is_no_label_is_refused(stishovite, tmp_path):
    from ase.io import write

    write(tmp_path / "bare.extxyz", stishovite)
    with pytest.raises(StructureError, match="REF_energy"):
        seed_store(LabelStore(tmp_path / "store"), tmp_path / "bare.extxyz", DFT)
    with pytest.raises(StructureError, match="does not exist"):
        seed_store(LabelStore(tmp_path / "store"), tmp_path / "none.extxyz", DFT)


@pytest.mark.parametrize("xc", get_args(Functional))
def test_every_functional_gives_a_label(stishovite, label, xc):
    require_functional(xc)
    dft = Dft(xc=xc, cutoff_eV=300, kpoint_spacing_per_A=5.0)
    forces = calculate(stishovite, dft).forces
    # Functionals shift energies by eV; forces far from rest they give nearly alike.
    assert np.linalg.norm(forces - label.forces) < 0.2 * np.linalg.norm(label.forces)


def test_a_meta_gga_is_refused_where_libxc_cannot(monkeypatch):
    from gpaw.xc.libxc import LibXC

    # As with a libxc that cannot be switched: the curvature stays enforced.
    monkeypatch.setattr(
        "gpaw.xc.LibXC", lambda name, **kwargs: LibXC(name, **{**kwargs, "disable_fhc": False})
    )
    with pytest.raises(ConfigError, match=r"dft\.xc: r2SCAN .*Fermi-hole.*make setup"):
        require_functional("r2SCAN")
    require_functional("PBEsol")


def test_setups_are_asked_for_by_element():
    require_setups({"Si", "O"}, "PBEsol")
    with pytest.raises(ConfigError, match="Xx"):
        require_setups({"Xx"}, "PBEsol")
