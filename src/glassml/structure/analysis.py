"""Any observable as an MDAnalysis analysis: `run(start, stop, step)`, results, parallel backends.

    import MDAnalysis
    from glassml.structure.analysis import FrameAnalysis
    from glassml.structure.observables import RingObservables
    rings = FrameAnalysis(universe.atoms, RingObservables("king"))
    rings.run(step=10, backend="multiprocessing", n_workers=4)
    rings.results.mean.per_former, rings.results.mean.error

The atoms need elements.
"""

from typing import Any

from MDAnalysis import AtomGroup
from MDAnalysis.analysis.base import AnalysisBase
from MDAnalysis.analysis.results import ResultsGroup

from glassml.campaign.errors import StructureError
from glassml.structure.frames import check_atoms
from glassml.structure.observables import Observable
from glassml.structure.reading.trajectories import frame_atoms


class FrameAnalysis(AnalysisBase):
    """An observable of each frame, and its mean.

    Results: `measured`, one item per frame, and `mean`, what the observable makes of them.

    Parameters
    ----------
    atoms
        An `AtomGroup` with elements, in a periodic box.
    observable
        One of `glassml.structure.observables`.
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

    def __init__(self, atoms: AtomGroup, observable: Observable[Any, Any], **options: Any) -> None:
        super().__init__(atoms.universe.trajectory, **options)
        self._atoms, self._observable = atoms, observable
        if not hasattr(atoms, "elements"):
            raise StructureError("the atoms have no elements: add_TopologyAttr('elements', …)")

    def _prepare(self) -> None:
        self.results.measured = []

    def _single_frame(self) -> None:
        atoms = frame_atoms(self._atoms)
        check_atoms(atoms, f"frame {self._ts.frame}")
        self.results.measured.append(self._observable.measure(atoms))

    def _conclude(self) -> None:
        self.results.mean = self._observable.mean(self.results.measured)

    def _get_aggregator(self) -> ResultsGroup:
        return ResultsGroup(lookup={"measured": ResultsGroup.flatten_sequence})
