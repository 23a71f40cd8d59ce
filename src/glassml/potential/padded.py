"""A NequIP network for a batch of glasses, with inputs of fixed shape: what a CUDA graph needs.

A step of a small system takes as long as the launches of its several hundred GPU kernels. A CUDA
graph replays them in one launch, if shapes and addresses do not change. So the pairs of atoms are
padded to a capacity with pairs that are farther apart than the cutoff, which contribute exactly
nothing, and the graph is captured again with more room when they do not fit.

The network is given the vectors of pairs, and gives the derivative of its energy by each. From
these come forces, and the stress of each glass: σ = Σ r ⊗ dE/dr / V.
"""

import importlib.util
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from glassml.campaign.errors import StructureError
from glassml.campaign.files import file_sha256
from glassml.potential.edges import Edges, volumes
from glassml.potential.packages import (
    PotentialError,
    choose_device,
    load_package,
    with_openequivariance,
)
from glassml.potential.shortcuts import FUSED, shortened

logger = logging.getLogger(__name__)

#: Room for pairs beyond those of the first configuration.
ROOM = 1.05
#: Forces of accelerated kernels may differ by this much from the plain network's, in eV/Å.
KERNEL_TOLERANCE = 1e-3
#: Atoms along each edge of the box in which that is looked at.
CROWD_SIDE = 4
#: A graph is recorded while no other thread uses the device.
RECORDING = threading.Lock()

#: Tensors by name, in eV and Å.
Result = dict[str, torch.Tensor]
T = TypeVar("T")


def with_room(pairs: int) -> int:
    """Give a capacity for so many pairs and some more."""
    return int(ROOM * pairs) + 64


def cuda_graph(evaluate: Callable[[], T]) -> Callable[[], T]:
    """Record an evaluation as a CUDA graph: one launch in place of hundreds.

    What is returned overwrites the tensors that it gave before.

    Raises
    ------
    RuntimeError
        If something in the evaluation cannot be captured.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            evaluate()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with RECORDING, torch.cuda.graph(graph):
        found = evaluate()

    def replay() -> T:
        graph.replay()
        return found

    return replay


class PaddedNetwork:
    """Energy, forces and stress of a batch by a NequIP network.

    Parameters
    ----------
    network
        In evaluation mode, on its device.
    species
        Chemical symbols in the order of the network's types.
    cutoff_A
        Of the network, in Å.
    skin_A
        Of the neighbour list, in Å.
    graph
        Whether to replay a CUDA graph; without a GPU, or where the capture fails, the network is
        called as it is, with a message.
    shortcuts
        Names of what makes it faster and a little less exact; see `glassml.potential.shortcuts`.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        species: Sequence[str],
        cutoff_A: float,
        *,
        skin_A: float = 0.5,
        graph: bool = True,
        shortcuts: Sequence[str] = (),
    ) -> None:
        self.network, self.species = network, list(species)
        self.shortcuts = tuple(shortcuts)
        self._network = shortened(network, self.shortcuts)
        self.cutoff_A, self.skin_A = cutoff_A, skin_A
        self.device = next(network.parameters()).device
        self.dtype = torch.float64
        self.graph = graph and self.device.type == "cuda"
        self.capacity = 0
        self.captures = 0
        self._used = 0

    def place(self, glasses: Sequence[Atoms]) -> None:
        """Take up the glasses of a batch: their elements and numbers of atoms.

        Raises
        ------
        StructureError
            If the network does not know an element.
        """
        unknown = sorted(
            {symbol for atoms in glasses for symbol in atoms.symbols} - {*self.species}
        )
        if unknown:
            raise StructureError(
                f"the potential is for {', '.join(self.species)}; it does not know "
                f"{', '.join(unknown)}: choose another potential or composition"
            )
        types = [self.species.index(symbol) for atoms in glasses for symbol in atoms.symbols]
        self._types = torch.tensor(types, device=self.device)
        self._edges = Edges(
            [len(atoms) for atoms in glasses], self.cutoff_A, self.skin_A, self.device
        )
        self._replay: Callable[[], Result] | None = None

    def __call__(self, positions: torch.Tensor, cells: torch.Tensor) -> Result:
        """Compute `energy` (systems,), `forces` (atoms, 3), `stress` (systems, 3, 3) in eV and Å.

        Parameters
        ----------
        positions, cells
            As in `Edges.find`, in double precision.
        """
        edges = self._edges
        near, vectors = edges.near(positions, cells)
        count = len(near)
        if self._replay is None or count > self.capacity:
            self._make_room(count)
        torch.index_select(edges.first, 0, near, out=self._first[:count])
        torch.index_select(edges.second, 0, near, out=self._second[:count])
        torch.index_select(vectors, 0, near, out=self._vectors[:count])
        self._first[count : self._used] = self._padding[count : self._used]
        self._second[count : self._used] = self._padding[count : self._used]
        self._vectors[count : self._used] = self._far
        self._used = count
        assert self._replay is not None
        found = self._replay()
        return {
            "energy": found["energy"].clone(),
            "forces": found["forces"].clone(),
            "stress": found["virial"] / volumes(cells)[:, None, None],
        }

    def reserve(self, capacity: int) -> None:
        """Make room for so many pairs at the next evaluation, as a run had that goes on."""
        if capacity != self.capacity:
            self.capacity = capacity
            self._replay = None

    def kept(self) -> dict[str, np.ndarray]:
        """Give what a sum depends on besides places and boxes: nothing here."""
        return {}

    def take_up(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take up what `kept` gave: nothing here."""

    def _make_room(self, count: int) -> None:
        """Make the fixed inputs for `count` pairs and some more, and capture the graph."""
        if count > self.capacity:
            self.capacity = with_room(count)
        # spread over the atoms, so that its zeros are not all added in one place
        self._padding = torch.arange(self.capacity, device=self.device) % max(len(self._types), 1)
        self._first, self._second = self._padding.clone(), self._padding.clone()
        self._far = torch.zeros((1, 3), dtype=self.dtype, device=self.device)
        self._far[0, 0] = 2.0 * self.cutoff_A
        self._vectors = self._far.repeat(self.capacity, 1)
        self._used = self.capacity
        self._replay = self._evaluate_fixed
        if self.graph:
            self._replay = self._captured()

    def _evaluate_fixed(self) -> Result:
        """Evaluate the network for the fixed inputs."""
        first, second, vectors = self._first, self._second, self._vectors
        atomic_energies, pulls = self._network(
            vectors.detach(), torch.stack([first, second]), self._types
        )
        pulls = pulls.to(self.dtype)
        # atom by atom first: additions of all pairs to the few numbers of a glass would queue up
        outer = 0.5 * vectors[:, :, None] * pulls[:, None, :]
        of_pairs = torch.cat([pulls, outer.flatten(1)], dim=1)
        of_atoms = torch.zeros((len(self._types), 12), dtype=self.dtype, device=self.device)
        of_atoms.index_add_(0, first, of_pairs)
        forces = of_atoms[:, :3].clone().index_add_(0, second, -pulls)
        virial = (self._edges.membership @ of_atoms[:, 3:]).reshape(-1, 3, 3)
        energies = atomic_energies[:, 0].to(self.dtype)
        return {
            "energy": self._edges.membership @ energies,
            "forces": forces,
            "virial": virial + virial.transpose(1, 2),
        }

    def _captured(self) -> Callable[[], Result]:
        """Capture the evaluation, or give the evaluation itself where that fails."""
        try:
            replay = cuda_graph(self._evaluate_fixed)
        except RuntimeError as error:
            logger.warning("no CUDA graph, each kernel is launched by itself: %s", error)
            self.graph = False
            return self._evaluate_fixed
        self.captures += 1
        logger.info("captured a CUDA graph for %d pairs", self.capacity)
        return replay


class PaddedCalculator(Calculator):
    """An ASE calculator on a padded network: a step of some hundred atoms in two milliseconds.

    Directions without periodic boundaries get a box in which images are out of reach.

    Parameters
    ----------
    network
        The network; captured anew when the elements change.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, network: PaddedNetwork) -> None:
        super().__init__()
        self.network = network
        self.species, self.cutoff_A = network.species, network.cutoff_A
        self._numbers: np.ndarray | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute energy in eV, forces in eV/Å and stress in eV/Å³ (tension positive)."""
        super().calculate(atoms, properties, system_changes)
        assert atoms is not None
        if self._numbers is None or not np.array_equal(self._numbers, atoms.numbers):
            self.network.place([atoms])
            self._numbers = atoms.numbers.copy()
        device = self.network.device
        found = self.network(
            torch.as_tensor(atoms.positions).to(device),
            torch.as_tensor(self._box(atoms)[None]).to(device),
        )
        energy = float(found["energy"][0])
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": found["forces"].cpu().numpy(),
            "stress": full_3x3_to_voigt_6_stress(found["stress"][0].cpu().numpy()),
        }

    def _box(self, atoms: Atoms) -> np.ndarray:
        """Give the box, shape (3, 3) in Å."""
        if atoms.pbc.all():
            return atoms.cell.array
        if atoms.pbc.any():
            raise StructureError(
                f"pbc {atoms.pbc.tolist()}: boundaries must be periodic in all directions or none"
            )
        reach = self.cutoff_A + self.network.skin_A
        return np.diag(np.ptp(atoms.positions, axis=0) + 1.1 * reach)


def load_network(
    package: Path,
    device: str | None = None,
    *,
    skin_A: float = 0.5,
    accelerate: bool = True,
    graph: bool = True,
    shortcuts: Sequence[str] = (),
) -> tuple[PaddedNetwork, dict[str, object]]:
    """Load a NequIP package for batches, and describe it for records.

    On a GPU the tensor products are those of OpenEquivariance where it is installed and its forces
    agree with the network's own; with the shortcut `fused` the convolutions are ours. Without a GPU
    that shortcut changes nothing.

    Parameters
    ----------
    package
        A NequIP package, `model.nequip.zip`.
    device
        "cpu" or "cuda"; None takes a GPU if there is one.
    skin_A
        Of the neighbour list, in Å.
    accelerate, graph
        Whether to use OpenEquivariance and a CUDA graph, on a GPU.
    shortcuts
        As in `PaddedNetwork`; not verified here, but for the forces of `fused` in a crowd of atoms.

    Raises
    ------
    PotentialError
        If the shortcut `fused` is for other networks, its forces are wrong, or a GPU lacks Triton.
    """
    device = choose_device(device)
    if FUSED in shortcuts and device.startswith("cuda") and not has_triton(device):
        raise PotentialError(
            "the shortcut 'fused' needs Triton, which is not installed: install it, or take it out "
            "of md.shortcuts"
        )
    network = _network(package, device)
    metadata = network.metadata
    species, cutoff = metadata["type_names"].split(" "), float(metadata["r_max"])
    backend, kind = "eager", PaddedNetwork
    if FUSED in shortcuts and has_triton(device):
        network, kind, backend = _fused(package, device, network, species, cutoff)
    elif accelerate and device.startswith("cuda"):
        fast = _accelerated(package, device, network, species, cutoff)
        if fast is not None:
            network, backend = fast, "openequivariance"
    padded = kind(network, species, cutoff, skin_A=skin_A, graph=graph, shortcuts=shortcuts)
    description = {
        "path": str(package),
        "sha256": file_sha256(package),
        "backend": backend + ("+graph" if padded.graph else ""),
        "device": device,
        "skin_A": skin_A,
        "shortcuts": list(shortcuts),
    }
    logger.info("%s: %s on %s", package, description["backend"], device)
    return padded, description


def _network(package: Path, device: str) -> Any:
    return load_package(Path(package), device).model  # type: ignore[attr-defined]


def _accelerated(
    package: Path, device: str, network: torch.nn.Module, species: Sequence[str], cutoff_A: float
) -> torch.nn.Module | None:
    """Give the network with OpenEquivariance, or None and the reason in the log."""
    if importlib.util.find_spec("openequivariance") is None:
        logger.warning("OpenEquivariance is not installed: NequIP's own tensor products")
        return None
    try:
        # of another copy, because it is changed in place
        fast = with_openequivariance(_network(package, device)).to(device).eval()
        difference = _force_difference(
            *(PaddedNetwork(each, species, cutoff_A, graph=False) for each in (network, fast))
        )
    except Exception as error:  # noqa: BLE001  (compilers of kernels fail in all sorts of ways)
        logger.warning("no OpenEquivariance: %s", error)
        return None
    if not difference < KERNEL_TOLERANCE:
        logger.warning("OpenEquivariance is off by %g eV/Å: not used", difference)
        return None
    return fast


def has_triton(device: str) -> bool:
    """Tell whether kernels in Triton run there: on a GPU, or by its interpreter."""
    return importlib.util.find_spec("triton") is not None and (
        device.startswith("cuda") or os.environ.get("TRITON_INTERPRET") == "1"
    )


def _fused(
    package: Path, device: str, network: torch.nn.Module, species: Sequence[str], cutoff_A: float
) -> tuple[torch.nn.Module, type[PaddedNetwork], str]:
    """Give the network with fused convolutions, verified, and what runs it.

    Raises
    ------
    PotentialError
        If the kernels do not know it, or their forces are wrong.
    """
    # Triton is for GPUs; and both import this module
    from glassml.potential.convolution import fuse  # noqa: PLC0415
    from glassml.potential.listed import ListedNetwork  # noqa: PLC0415

    # of another copy, because it is changed in place
    fast = fuse(_network(package, device)).to(device).eval()
    difference = _force_difference(
        PaddedNetwork(network, species, cutoff_A, graph=False),
        ListedNetwork(fast, species, cutoff_A, graph=False),
    )
    if not difference < KERNEL_TOLERANCE:
        raise PotentialError(
            f"{package}: forces of the shortcut 'fused' are off by {difference:g} eV/Å: take it "
            "out of md.shortcuts"
        )
    return fast, ListedNetwork, FUSED


def _force_difference(one: PaddedNetwork, other: PaddedNetwork) -> float:
    """Give the largest difference of force between two networks, in a crowd of atoms, in eV/Å."""
    edge = 2.1 * one.cutoff_A
    grid = torch.arange(CROWD_SIDE, dtype=torch.float64) * edge / 4
    places = torch.cartesian_prod(grid, grid, grid)
    noise = torch.rand(len(places), 3, generator=torch.Generator().manual_seed(1))
    places = places + 0.3 * noise
    symbols = [one.species[index % len(one.species)] for index in range(len(places))]
    atoms = Atoms(symbols, places.numpy(), cell=[edge] * 3, pbc=True)
    forces = []
    for padded in (one, other):
        padded.place([atoms])
        cell = torch.eye(3, dtype=torch.float64, device=padded.device)[None] * edge
        forces.append(padded(places.to(padded.device), cell)["forces"])
    return float((forces[0] - forces[1]).abs().max())
