"""One member of a committee: from labels to a package."""

import io
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import yaml
from ase import Atoms
from ase.io import write

from glassml.campaign.config.potential import Network, Training
from glassml.campaign.files import atomic_path, read_json, write_text
from glassml.campaign.seeds import derive_seed, generator
from glassml.potential import shifts, training
from glassml.potential.calculators import load_calculator, package_species_and_cutoff
from glassml.potential.functional_gap import SAME_FUNCTIONAL_eV, energy_gap, shifts_of
from glassml.potential.labels import check_labels, read_labels
from glassml.potential.packages import PotentialError, choose_device
from glassml.potential.training_config import (
    package_model,
    scratch_model,
    training_config,
    with_kernels,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """Paths of a generation's labels, and the energies of isolated atoms in eV by symbol."""

    train: Path
    validation: Path
    isolated_atoms: Path

    def isolated_energies(self) -> dict[str, float]:
        """Read the energies of isolated atoms in eV by symbol; the file may hold none."""
        data = read_json(self.isolated_atoms)
        return {symbol: float(energy) for symbol, energy in data.items()}


@dataclass(frozen=True)
class Member:
    """Where a member's files are, and the seed and names of its random numbers."""

    folder: Path
    generation: int
    number: int
    seed: int

    def names(self, use: str) -> tuple[str | int, ...]:
        """Name the random numbers of a use."""
        return ("potential", use, self.generation, self.number)


def train_member(
    member: Member,
    dataset: Dataset,
    *,
    network: Network,
    settings: Training,
    package: Path | None = None,
    package_functional: str | None = None,
    labels: int | None = None,
    device: str | None = None,
    threads: int = 1,
    place: int = 0,
) -> None:
    """Train a member, and write `train.yaml`, `history.csv` and `model.nequip.zip`.

    Parameters
    ----------
    member
        Receives the files; checkpoints are in `training/` beside them.
    dataset
        Labels, checked before anything else.
    network
        Its size; not used when `package` is given.
    settings
        How it is trained.
    package
        Start from the weights of this package in place of random ones.
    package_functional
        That of the package, where it is another than the labels'.
    labels
        Train on so many of the labels only, with more epochs, so that steps and validations are
        as many.
    device, threads, place
        As in `glassml.potential.training.train`.

    Raises
    ------
    PotentialError
        If the labels are refused, or the trainer fails.
    """
    train, validation = read_labels(dataset.train), read_labels(dataset.validation)
    for name, labels_of_set in (("training", train), ("validation", validation)):
        # each by itself, so that right labels of one do not hide wrong ones of the other
        logger.info("consistency of the %s labels: %s", name, check_labels(labels_of_set))
    train = [atoms for atoms in train if "REF_stress" in atoms.info]
    validation = [atoms for atoms in validation if "REF_stress" in atoms.info]
    if not train:
        raise PotentialError(f"{dataset.train}: there is no label to train on")
    if not validation:
        logger.warning("no validation label: epochs are compared by their training labels")
        validation = train
    if settings.kernels == "openequivariance" and not choose_device(device).startswith("cuda"):
        raise PotentialError("the kernels of OpenEquivariance need a GPU: choose eager or compile")
    member.folder.mkdir(parents=True, exist_ok=True)
    validate_every = 1
    if labels is not None and labels < len(train):
        epochs = round(settings.max_epochs * len(train) / labels)
        settings = settings.model_copy(update={"max_epochs": epochs})
        validate_every = round(len(train) / labels)
        train = nested_subset(train, labels, generator(member.seed, "potential", "subset"))
    if settings.bagging:
        train = bootstrap(train, generator(member.seed, *member.names("bagging")))
    train = repeated(train, settings.repeats)
    sets = {"train": _extxyz(train), "validation": _extxyz(validation)}
    if package is None:
        isolated_eV = dataset.isolated_energies()
        model, species = _new_network(member, train, isolated_eV, settings.shifts, network)
        cutoff = network.cutoff_A
    else:
        species, cutoff = package_species_and_cutoff(package)
        model = package_model(package, _new_shifts(package, package_functional, train))
    written = partial(
        training_config,
        settings,
        model=with_kernels(model, settings.kernels),
        species=species,
        cutoff_A=cutoff,
        train_count=len(train),
        validate_every=validate_every,
        seed=derive_seed(member.seed, *member.names("order")),
    )
    unnamed = yaml.safe_dump(written(folder=Path("training")))
    folder = member.folder / "training" / training.training_digest(unnamed, *sets.values())
    for name, content in sets.items():
        write_text(folder / f"{name}.extxyz", content)
    config = written(folder=folder)
    write_text(folder / training.CONFIG, yaml.safe_dump(config, sort_keys=False))
    training.train(folder, device=device, threads=threads, place=place)
    training.package(folder, member.folder / "model.nequip.zip")
    _copy(folder / training.HISTORY, member.folder / "history.csv")
    _copy(folder / training.CONFIG, member.folder / "train.yaml")


def _new_network(
    member: Member,
    train: Sequence[Atoms],
    isolated_eV: Mapping[str, float],
    chosen: str,
    network: Network,
) -> tuple[dict[str, object], list[str]]:
    """Describe a network of random weights for these labels; also give its species."""
    species = sorted({symbol for atoms in train for symbol in atoms.symbols})
    if chosen == "isolated_atoms" and not isolated_eV:
        logger.warning("there are no isolated atoms: shifts are fitted by least squares")
        chosen = "least_squares"
    shifts_eV = (
        shifts.isolated_shifts(isolated_eV, species)
        if chosen == "isolated_atoms"
        else shifts.least_squares_shifts(train, species)
    )
    logger.info("shifts (%s): %s eV", chosen, shifts_eV)
    model = scratch_model(
        network,
        species=species,
        shifts_eV=shifts_eV,
        scale_eV=shifts.rms_force(train),
        neighbours=shifts.mean_neighbours(train, network.cutoff_A),
        seed=derive_seed(member.seed, *member.names("weights")),
    )
    return model, species


def _new_shifts(
    package: Path, package_functional: str | None, train: Sequence[Atoms]
) -> dict[str, float] | None:
    """Give shifts that bring a package of another functional to the labels; None for its own."""
    calculator = load_calculator(package, device="cpu")
    constants, typical = energy_gap(calculator, train)
    if package_functional is None:
        if abs(typical) > SAME_FUNCTIONAL_eV:
            raise PotentialError(
                f"{package}: its energies differ from those of the labels by "
                f"{abs(typical):.2f} eV per atom: it is of another functional or code. Take a "
                "package of the labels' functional, or name the package's in "
                "potential.package_functional, which shifts its energies before it is tuned"
            )
        return None
    logger.info("from %s to the labels' functional: %s eV", package_functional, constants)
    own = shifts_of(calculator)
    # Machines differ in the seventh digit. They shall not in the name of a training, by which one
    # that was killed goes on elsewhere.
    return {symbol: round(own[symbol] + constants.get(symbol, 0.0), 4) for symbol in own}


def bootstrap(frames: Sequence[Atoms], rng: np.random.Generator) -> list[Atoms]:
    """Draw as many parents as there are, with replacement, and give all their configurations."""
    parents: dict[str, list[Atoms]] = {}
    for index, atoms in enumerate(frames):
        parents.setdefault(str(atoms.info.get("parent", index)), []).append(atoms)
    names = sorted(parents)
    return [atoms for drawn in rng.choice(names, len(names)) for atoms in parents[str(drawn)]]


def repeated(frames: Sequence[Atoms], repeats: Mapping[str, int]) -> list[Atoms]:
    """Let the configurations of some config types come several times.

    Parameters
    ----------
    frames
        Configurations, with `info["config_type"]`.
    repeats
        How many times, by config type.

    Raises
    ------
    PotentialError
        If there is none of a type that is named.
    """
    types = {str(atoms.info.get("config_type")) for atoms in frames}
    if absent := sorted(set(repeats) - types):
        raise PotentialError(
            f"potential.training.repeats: no training label is of config_type "
            f"{', '.join(absent)}; there are {', '.join(sorted(types))}"
        )
    return [
        atoms for atoms in frames for _ in range(repeats.get(str(atoms.info.get("config_type")), 1))
    ]


def nested_subset(frames: Sequence[Atoms], count: int, rng: np.random.Generator) -> list[Atoms]:
    """Choose configurations, parent by parent, such that a smaller choice is within a larger one.

    Parameters
    ----------
    frames
        Configurations.
    count
        How many to choose.
    rng
        Of the order of the parents; the same state gives nested choices.
    """
    parents: dict[str, list[Atoms]] = {}
    for index, atoms in enumerate(frames):
        parents.setdefault(str(atoms.info.get("parent", index)), []).append(atoms)
    order = rng.permutation(sorted(parents))
    return [atoms for parent in order for atoms in parents[str(parent)]][:count]


def adopt_member(member: Member, package: Path) -> None:
    """Use a given package as it is: no training, an empty history, and a note in `train.yaml`."""
    if not package.is_file():
        raise PotentialError(f"{package}: there is no such package")
    _copy(package, member.folder / "model.nequip.zip")
    write_text(member.folder / "train.yaml", f"# given, not trained: {package}\n")
    write_text(member.folder / "history.csv", ",".join(training.HISTORY_COLUMNS) + "\n")


def _extxyz(frames: Sequence[Atoms]) -> str:
    text = io.StringIO()
    write(text, frames, format="extxyz")
    return text.getvalue()


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
