"""Observables of MDAnalysis frames equal the plain functions; the 3D view is whole and offline."""

import os
import re

import matplotlib as mpl
import numpy as np
import pytest

from glassml.campaign.errors import StructureError
from glassml.structure.analysis import FrameAnalysis
from glassml.structure.compiled import forget_stale_code
from glassml.structure.observables import (
    FactorObservables,
    NetworkObservables,
    PairObservables,
    RingObservables,
)
from glassml.structure.reading.trajectories import open_universe
from glassml.structure.rings.search import find_rings
from glassml.structure.sq import average, structure_factor

mpl.use("Agg")


@pytest.fixture
def universe(h5md):
    trajectory, _, frames = h5md
    return open_universe(frames[0], trajectory)


def test_rings_of_a_trajectory(universe, h5md):
    frames = h5md[2]
    run = FrameAnalysis(universe.atoms, RingObservables("king", 8)).run(step=2)
    expected = [find_rings(atoms, "king", 8).per_former() for atoms in frames[::2]]
    assert run.results.mean.per_former[6] == pytest.approx(np.mean([e[6] for e in expected]))
    sizes = np.concatenate([shape.size for shape in run.results.mean.shapes("Si+O")])
    assert (sizes == 6).sum() == sum(round(e[6] * 32) for e in expected)


def test_parallel_backend_gives_the_same(universe):
    serial = FrameAnalysis(universe.atoms, NetworkObservables()).run()
    parallel = FrameAnalysis(universe.atoms, NetworkObservables()).run(
        backend="multiprocessing", n_workers=2
    )
    assert parallel.results.mean.mean == pytest.approx(serial.results.mean.mean)
    assert serial.results.mean.mean["coordination_Si_4"] == 1.0


def test_structure_factor_of_a_trajectory(universe, h5md):
    run = FrameAnalysis(universe.atoms, FactorObservables(4.0)).run(start=1)
    expected = average([structure_factor(atoms, 4.0) for atoms in h5md[2][1:]])
    found = run.results.mean.total("neutron")
    np.testing.assert_allclose(found, expected.total("neutron"), atol=1e-3)


def test_pair_distribution_of_a_trajectory(universe):
    mean = FrameAnalysis(universe.atoms, PairObservables(r_max=6.0)).run().results.mean
    assert mean.r[np.argmax(mean.partials["Si-O"])] == pytest.approx(1.61, abs=0.05)
    assert np.nanmax(mean.errors["Si-O"]) > 0


def test_atoms_without_elements_are_refused():
    import MDAnalysis

    bare = MDAnalysis.Universe.empty(3, trajectory=True)
    with pytest.raises(StructureError, match="elements"):
        FrameAnalysis(bare.atoms, RingObservables())


def test_ring_view_is_offline_and_whole(quartz):
    from glassml.structure.rings.viewer import ring_view

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
