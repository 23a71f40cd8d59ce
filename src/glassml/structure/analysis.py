"""The observables as MDAnalysis analyses: `run(start, stop, step)`, results, parallel backends.

    import MDAnalysis
    from glassml.structure.analysis import RingAnalysis
    rings = RingAnalysis(universe.atoms, criterion="king").run(step=10, backend="multiprocessing",
                                                               n_workers=4)
    rings.results.per_si, rings.results.per_si_error

The atoms need elements. Each result is a mean over frames, with `…_error` its standard error.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from MDAnalysis.analysis.base import AnalysisBase
from MDAnalysis.analysis.results import ResultsGroup

from glassml.campaign.errors import StructureError
from glassml.structure.frames import check_atoms
from glassml.structure.fsdp import fit_peak
from glassml.structure.gr import PAIRS, pair_distribution
from glassml.structure.network import find_bonds, network_scalars
from glassml.structure.ring_shape import RingShapes, ring_shapes, shape_by_size
from glassml.structure.rings import find_rings
from glassml.structure.sq import average, structure_factor
from glassml.structure.statistics import mean_and_error


class FrameAnalysis(AnalysisBase):
    """An analysis whose frames are independent: it collects one item per frame.

    Parameters
    ----------
    atoms
        An `AtomGroup` of Si and O with elements, in a periodic box.
    options
        Of `AnalysisBase` (`verbose`).

    Raises
    ------
    StructureError
        If the elements are missing, or a frame cannot be analysed.
    """

    _analysis_algorithm_is_parallelizable = True

    @classmethod
    def get_supported_backends(cls) -> tuple[str, ...]:
        """Name the backends of `run`."""
        return ("serial", "multiprocessing", "dask")

    def __init__(self, atoms: Any, **options: Any) -> None:
        super().__init__(atoms.universe.trajectory, **options)
        self._atoms = atoms
        if not hasattr(atoms, "elements"):
            raise StructureError("the atoms have no elements: add_TopologyAttr('elements', …)")

    def _prepare(self) -> None:
        self.results.measured = []

    def _single_frame(self) -> None:
        triclinic = self._ts.triclinic_dimensions
        atoms = Atoms(
            list(self._atoms.elements),
            self._atoms.positions.astype(float),
            cell=None if triclinic is None else np.asarray(triclinic, float),
            pbc=triclinic is not None,
        )
        check_atoms(atoms, f"frame {self._ts.frame}")
        self.results.measured.append(self._measure(atoms))

    def _measure(self, atoms: Atoms) -> Any:
        raise NotImplementedError

    def _get_aggregator(self) -> ResultsGroup:
        return ResultsGroup(lookup={"measured": ResultsGroup.flatten_sequence})


class NetworkAnalysis(FrameAnalysis):
    """Coordination, Qn, angles, bond lengths, Kono's z (see `glassml.structure.network`).

    Results: `mean` and `error`, dictionaries by observable.
    """

    def __init__(self, atoms: Any, cutoff: float | None = None, **options: Any) -> None:
        super().__init__(atoms, **options)
        self._cutoff = cutoff

    def _measure(self, atoms: Atoms) -> Mapping[str, float]:
        return network_scalars(atoms, find_bonds(atoms, self._cutoff))

    def _conclude(self) -> None:
        names = sorted({name for item in self.results.measured for name in item})
        pairs = {
            name: mean_and_error([item.get(name, 0.0) for item in self.results.measured])
            for name in names
        }
        self.results.mean = {name: pair[0] for name, pair in pairs.items()}
        self.results.error = {name: pair[1] for name, pair in pairs.items()}


class PairDistributionAnalysis(FrameAnalysis):
    """Partial g(r). Results: `r` (Å), `partials` and `partials_error` by pair.

    Parameters
    ----------
    r_max, bin_width
        In Å, the same for all frames.
    """

    def __init__(
        self, atoms: Any, r_max: float = 10.0, bin_width: float = 0.02, **options: Any
    ) -> None:
        super().__init__(atoms, **options)
        self._r_max, self._bin_width = r_max, bin_width

    def _measure(self, atoms: Atoms) -> Any:
        return pair_distribution(atoms, self._r_max, self._bin_width)

    def _conclude(self) -> None:
        items = self.results.measured
        self.results.r = items[0].r
        self.results.partials, self.results.partials_error = {}, {}
        for pair in PAIRS:
            curves = np.array([item.partials[pair] for item in items])
            self.results.partials[pair] = curves.mean(axis=0)
            spread = (
                curves.std(axis=0, ddof=1) if len(items) > 1 else np.full(len(curves[0]), np.nan)
            )
            self.results.partials_error[pair] = spread / np.sqrt(len(items))


class StructureFactorAnalysis(FrameAnalysis):
    """S(Q). Results: `factor` (a `StructureFactor`), `q`, `neutron`, `xray`, `partials`.

    Parameters
    ----------
    options
        `q_max`, `q_bin`, `q_lattice`, `complete` as of `structure_factor`; others as of
        `AnalysisBase`.
    """

    def __init__(self, atoms: Any, **options: Any) -> None:
        names = ("q_max", "q_bin", "q_lattice", "complete")
        self._options = {name: options.pop(name) for name in names if name in options}
        super().__init__(atoms, **options)

    def _measure(self, atoms: Atoms) -> Any:
        return structure_factor(atoms, **self._options)

    def _conclude(self) -> None:
        factor = average(self.results.measured)
        self.results.factor = factor
        self.results.q, self.results.partials = factor.q, factor.partials
        for weighting in ("neutron", "xray"):
            self.results[weighting] = factor.total(weighting)
            self.results[f"{weighting}_error"] = factor.standard_error(weighting)

    def fit_peak(self, weighting: str = "neutron", **options: Any) -> Any:
        """Fit the first sharp diffraction peak (see `glassml.structure.fsdp.fit_peak`)."""
        error = self.results[f"{weighting}_error"]
        options.setdefault("q_bin", self.results.factor.q_bin)
        return fit_peak(self.results.q, self.results[weighting], error, **options)


class RingAnalysis(FrameAnalysis):
    """Ring counts and shapes.

    Results: `per_si` and `per_si_error` by size; `shape` by size (mean and sd over rings).

    Parameters
    ----------
    criterion, max_size
        As of `find_rings`.
    cutoff
        Longest Si-O bond in Å.
    shape_atoms
        "Si+O" or "Si".
    """

    def __init__(
        self,
        atoms: Any,
        criterion: str = "primitive",
        max_size: int = 12,
        cutoff: float | None = None,
        shape_atoms: str = "Si+O",
        **options: Any,
    ) -> None:
        super().__init__(atoms, **options)
        self._criterion, self._max_size = criterion, max_size
        self._cutoff, self._shape_atoms = cutoff, shape_atoms

    def _measure(self, atoms: Atoms) -> Any:
        rings = find_rings(atoms, self._criterion, self._max_size, find_bonds(atoms, self._cutoff))
        return rings.per_si(), ring_shapes(rings, self._shape_atoms)

    def _conclude(self) -> None:
        items = self.results.measured
        sizes = sorted({size for per_si, _ in items for size in per_si})
        pairs = {n: mean_and_error([per_si.get(n, 0.0) for per_si, _ in items]) for n in sizes}
        self.results.per_si = {n: pair[0] for n, pair in pairs.items()}
        self.results.per_si_error = {n: pair[1] for n, pair in pairs.items()}
        together = RingShapes(
            np.concatenate([shape.size for _, shape in items]),
            np.concatenate([shape.lengths for _, shape in items]),
            self._shape_atoms,
        )
        self.results.shape = shape_by_size(together)
