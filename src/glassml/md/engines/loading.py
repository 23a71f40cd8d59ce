"""Neural networks for engine torch, their shortcuts verified."""

from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

from glassml.campaign.config.md import MolecularDynamics, Respa
from glassml.campaign.errors import GlassmlError
from glassml.campaign.extxyz import read_extxyz
from glassml.md.engines.pair_loading import load_pair_model
from glassml.md.engines.respa import RespaEngine
from glassml.md.engines.torchmd import TorchEngine
from glassml.potential.padded import load_network
from glassml.potential.shortcuts import check_shortcuts


def load_network_engine(
    md: MolecularDynamics,
    package: Path,
    device: str | None,
    labels: Sequence[Path],
    committee: Sequence[Path] = (),
    respa: Respa | None = None,
) -> tuple[TorchEngine, dict[str, object]]:
    """Load a network that moves batches, and describe it.

    Parameters
    ----------
    md
        Its `shortcuts` are taken.
    package, committee
        NequIP packages of what moves the atoms, and of further members.
    device
        Name in torch; None takes a GPU where there is one.
    labels
        Files of test labels, on which shortcuts are verified.
    respa
        Two time steps, None for one.

    Raises
    ------
    GlassmlError
        If there are shortcuts and no labels, or errors grow by the shortcuts.
    """
    network, described = load_network(
        package, device, skin_A=md.skin_A, shortcuts=md.network_shortcuts()
    )
    checked: dict[str, object] = {}
    if md.network_shortcuts():
        frames = _labels(md, labels)
        exact, _ = load_network(package, device, skin_A=md.skin_A, graph=False)
        checked |= check_shortcuts(network, exact, frames)
    members = [load_network(path, device, skin_A=md.skin_A, graph=False)[0] for path in committee]
    engine = TorchEngine(network, members)
    if respa is not None:
        kernels = md.uses_pair_kernels()
        inner, of_inner = load_pair_model(respa.potential, device, kernels=kernels)
        checked["respa"] = of_inner.pop("verification", None)
        described["respa"] = of_inner | {"steps": respa.steps}
        engine = RespaEngine(network, inner, respa.steps, members)
    return engine, described | ({"verification": checked} if checked else {})


def _labels(md: MolecularDynamics, paths: Sequence[Path]) -> list[Atoms]:
    """Read the labels, and refuse to go without."""
    labels = [atoms for path in paths for atoms in read_extxyz(path)]
    if not labels:
        raise GlassmlError(
            f"--labels: md.shortcuts {', '.join(md.network_shortcuts())} are verified on test "
            "labels: give their file, test.extxyz of the dataset"
        )
    return labels
