"""Keys, k points and setups: what determines a label."""

import numpy as np
import pytest
from ase import Atoms
from ase.spacegroup import crystal
from hypothesis import given
from hypothesis import strategies as st

from glassml.campaign.config import parse_campaign
from glassml.campaign.config.dft import Dft
from glassml.campaign.errors import ConfigError
from glassml.dft.cost import label_megabytes, shard_megabytes, shard_minutes
from glassml.dft.labels import canonical, label_key, labelled_atoms
from glassml.dft.settings import (
    determining_settings,
    kpoint_grid,
    mean_value_kpoints,
    setup_digest,
)

DFT = Dft()


@pytest.fixture
def stishovite():
    return crystal(
        ["Si", "O"],
        [(0, 0, 0), (0.3062, 0.3062, 0)],
        spacegroup=136,
        cellpar=[4.179, 4.179, 2.666, 90, 90, 90],
    )


def _key(atoms, **changes):
    return label_key(atoms, determining_settings(atoms, DFT.model_copy(update=changes)))


def test_key_ignores_what_does_not_determine_the_label(stishovite):
    other = stishovite.copy()
    other.info["config_type"] = "rattled"
    other.positions += 1e-10
    assert _key(other) == _key(stishovite)
    assert _key(stishovite, max_iterations=7, recipes=["smeared"]) == _key(stishovite)


@pytest.mark.parametrize(
    "change",
    [
        {"cutoff_eV": 850.0},
        {"xc": "PBE"},
        {"xc": "LDA"},
        {"kpoint_spacing_per_A": 0.6},
        {"smearing_eV": 0.1},
        {"density_tolerance": 1e-5},
        {"energy_tolerance_eV": 1e-5},
        {"eigenstates_tolerance_eV2": 1e-9},
    ],
)
def test_key_changes_with_each_setting(stishovite, change):
    assert _key(stishovite, **change) != _key(stishovite)


def test_key_changes_with_the_structure(stishovite):
    moved, strained, swapped = (stishovite.copy() for _ in range(3))
    moved.positions[0, 0] += 1e-6
    strained.set_cell(strained.cell * 1.001)
    swapped.symbols[0] = "O"
    assert len({_key(atoms) for atoms in (stishovite, moved, strained, swapped)}) == 4


def test_key_survives_extxyz(stishovite, tmp_path):
    from ase.io import read, write

    stishovite.rattle(0.1, seed=1)
    stishovite.set_cell(stishovite.cell * 1.0123456789)
    structure = canonical(stishovite)
    write(tmp_path / "a.extxyz", structure)
    assert _key(read(tmp_path / "a.extxyz")) == _key(stishovite)


def test_kpoint_grid_counts_by_reciprocal_length():
    atoms = Atoms("Si", cell=[2 * np.pi, np.pi, 20.0], pbc=[True, True, False])
    assert kpoint_grid(atoms, 0.5) == (2, 4, 1)
    assert kpoint_grid(atoms, 1.0) == (1, 2, 1)


@given(st.tuples(*[st.integers(1, 4)] * 3), st.tuples(*[st.integers(-6, 6)] * 3))
def test_mean_value_points_integrate_plane_waves(grid, lattice_vector):
    """With time reversal, the mean of cos(2πk·R) vanishes unless R is commensurate, or a sum."""
    points = mean_value_kpoints(grid, np.array([True] * 3))
    assert len(points) == np.prod(grid)
    mean = np.cos(2 * np.pi * points @ np.array(lattice_vector)).mean()
    images = np.array(lattice_vector) / np.array(grid)
    commensurate = np.allclose(images, np.round(images))
    if not commensurate or abs(round(images.sum())) % 2 == 1:
        assert abs(mean) < 1e-12
    else:
        assert abs(abs(mean) - 1) < 1e-12


def test_isolated_atoms_are_spin_polarised_at_gamma(stishovite):
    atom = Atoms("O", cell=[8, 8.3, 8.6], pbc=True)
    settings = determining_settings(atom, DFT)
    assert (settings["kpoints"], settings["spin_polarised"]) == ("gamma", True)
    assert determining_settings(stishovite, DFT)["spin_polarised"] is False


def test_a_missing_setup_is_named():
    with pytest.raises(ConfigError, match=r"Pu\.PBE"):
        setup_digest("Pu", "PBEsol")


def test_labelled_atoms_have_reference_keys_and_no_calculator(stishovite):
    stishovite.info["family"] = "stishovite"
    record = {
        "energy": -1.5,
        "forces": np.ones((6, 3)).tolist(),
        "stress": [1, 2, 3, 4, 5, 6],
        "recipe": "standard",
        "settings": {"xc": "r2SCAN"},
    }
    labelled = labelled_atoms(stishovite, "k", record)
    assert labelled.calc is None
    assert labelled.info["REF_energy"] == -1.5
    assert labelled.info["family"] == "stishovite"
    assert labelled.info["REF_xc"] == "r2SCAN"
    assert labelled.arrays["REF_forces"].shape == (6, 3)
    assert labelled.info["REF_stress"].tolist() == [1, 2, 3, 4, 5, 6]


def test_memory_is_what_was_measured_with_some_to_spare():
    for atoms, measured in ((24, 640), (72, 2830)):
        assert measured < label_megabytes(atoms) < 1.5 * measured


def test_shards_ask_for_more_where_cells_are_larger_and_for_like_times():
    families = {
        f"of_{atoms}": {"generator": "melt", "count": 64, "atoms": [atoms]}
        for atoms in (24, 48, 72)
    }
    campaign = parse_campaign(
        {
            "name": "cost",
            "configurations": {"shard_size": 32, "families": families},
            "dft": {"shard_processes": 4},
            "md": {},
        }
    )
    memory = [shard_megabytes(campaign, family) for family in families]
    assert memory == [4 * label_megabytes(atoms) for atoms in (24, 48, 72)]
    minutes = [shard_minutes(campaign, family) for family in families]
    assert max(minutes) < 1.5 * min(minutes)
