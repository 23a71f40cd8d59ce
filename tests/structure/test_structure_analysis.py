"""MDAnalysis classes equal the plain functions; plots and the 3D view draw what they are given."""

import os
import re

import matplotlib as mpl
import numpy as np
import pytest

from glassml.campaign.errors import StructureError
from glassml.structure import analysis
from glassml.structure.compiled import forget_stale_code
from glassml.structure.frames import open_universe
from glassml.structure.rings import find_rings
from glassml.structure.sq import average, structure_factor

mpl.use("Agg")


@pytest.fixture
def universe(h5md):
    trajectory, _, frames = h5md
    return open_universe(frames[0], trajectory)


def test_rings_of_a_trajectory(universe, h5md):
    frames = h5md[2]
    run = analysis.RingAnalysis(universe.atoms, criterion="king", max_size=8).run(step=2)
    expected = [find_rings(atoms, "king", 8).per_si() for atoms in frames[::2]]
    assert run.results.per_si[6] == pytest.approx(np.mean([e[6] for e in expected]))
    assert run.results.shape[6]["count"] == sum(round(e[6] * 32) for e in expected)


def test_parallel_backend_gives_the_same(universe):
    serial = analysis.NetworkAnalysis(universe.atoms).run()
    parallel = analysis.NetworkAnalysis(universe.atoms).run(backend="multiprocessing", n_workers=2)
    assert parallel.results.mean == pytest.approx(serial.results.mean)
    assert serial.results.mean["coordination_Si_4"] == 1.0


def test_structure_factor_of_a_trajectory(universe, h5md):
    run = analysis.StructureFactorAnalysis(universe.atoms, q_max=4.0).run(start=1)
    expected = average([structure_factor(atoms, 4.0) for atoms in h5md[2][1:]])
    np.testing.assert_allclose(run.results.neutron, expected.total("neutron"), atol=1e-3)


def test_pair_distribution_of_a_trajectory(universe):
    run = analysis.PairDistributionAnalysis(universe.atoms, r_max=6.0).run()
    peak = run.results.r[np.argmax(run.results.partials["Si-O"])]
    assert peak == pytest.approx(1.61, abs=0.05)
    assert np.nanmax(run.results.partials_error["Si-O"]) > 0


def test_atoms_without_elements_are_refused():
    import MDAnalysis

    bare = MDAnalysis.Universe.empty(3, trajectory=True)
    with pytest.raises(StructureError, match="elements"):
        analysis.RingAnalysis(bare.atoms)


def test_ring_view_is_offline_and_whole(quartz):
    from glassml.structure.viewer import ring_view

    rings = find_rings(quartz)
    page = ring_view(quartz, rings)
    assert not re.search(r"<(script|link|img)[^>]+(src|href)\s*=", page[:2000])
    fragment = ring_view(quartz, rings, library=False)
    assert fragment.count('"type":"mesh3d"') == 2
    assert "6 Si (3)" in fragment
    assert "8 Si (15)" in fragment
    assert "http" not in fragment


def test_compiled_code_of_a_changed_package_is_forgotten(tmp_path):
    """A function compiled into another one's caller must not survive a change of its file."""
    module, cached = tmp_path / "one.py", tmp_path / "__pycache__" / "one.f-1.py311.nbi"
    module.write_text("x = 1")
    assert forget_stale_code(tmp_path)
    cached.write_text("compiled")
    assert not forget_stale_code(tmp_path)
    assert cached.exists()
    os.utime(module, ns=(1, 1))
    assert forget_stale_code(tmp_path)
    assert not cached.exists()
