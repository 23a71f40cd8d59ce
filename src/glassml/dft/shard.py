"""A shard of configurations: label what the store lacks, several at once, each exactly once."""

import importlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from tqdm import tqdm

from glassml.campaign.config.dft import Dft
from glassml.campaign.errors import GlassmlError, Interrupted
from glassml.campaign.signals import interrupting
from glassml.campaign.store import CLAIM_HEARTBEAT_S, LabelRecord, LabelStore
from glassml.dft.calculation import climb
from glassml.dft.labels import label_key, structure_record
from glassml.dft.settings import determining_settings, require_gpu
from glassml.dft.workers import CrashError, GpuError, Worker, start_worker, wait_any

LOGGER = logging.getLogger(__name__)

SHORTEST_BOND_FRACTION = 0.4  # of the sum of covalent radii: closer, PAW spheres fail
LARGEST_VOLUME_PER_ATOM_A3 = 2000.0


@dataclass
class ShardResult:
    """What became of each configuration of a shard.

    Attributes
    ----------
    records
        Per configuration, in order: its store record, with ``status`` ``"converged"``,
        ``"failed"``, ``"refused"``, or ``"imported"`` where it came with a label.
    keys
        Per configuration its label key; None where nothing is calculated.
    computed
        How many of the records were calculated now; the rest was in the store.
    """

    records: list[LabelRecord]
    keys: list[str | None]
    computed: int = 0
    waiting: set[int] = field(default_factory=set)


def label_shard(
    configurations: Sequence[Atoms],
    dft: Dft | Sequence[Dft],
    store: LabelStore,
    processes: int = 1,
    work: Callable[..., LabelRecord] = climb,
) -> ShardResult:
    """Label configurations, taking from the store what is there.

    Parameters
    ----------
    configurations
        Structures; an unusable one is refused with its reason, and the others are labelled.
    dft
        Section `dft` of a campaign; one for each configuration, or one for all.
    store
        Where labels are looked up and written, one by one.
    processes
        How many are calculated at once, each on one core (and all on one GPU, if any).
    work
        What labels one structure: takes ``atoms, dft, recipes, log``, returns a record.

    Returns
    -------
    ShardResult

    Raises
    ------
    ConfigError
        If a GPU is asked for and GPAW can use none.
    Interrupted
        If a signal came; call again to go on.
    GlassmlError
        If the GPU failed under a label: call again to go on.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sections = [dft] * len(configurations) if isinstance(dft, Dft) else list(dft)
    result = ShardResult(records=[{} for _ in configurations], keys=[None] * len(configurations))
    for index, (atoms, section) in enumerate(zip(configurations, sections, strict=True)):
        reason = refuse_structure(atoms, section.max_atoms)
        if "REF_energy" in atoms.info:
            result.records[index] = {"status": "imported", "attempts": []}
            continue
        if reason is not None:
            result.records[index] = {"status": "refused", "reason": reason, "attempts": []}
            continue
        result.keys[index] = label_key(atoms, determining_settings(atoms, section))
        result.waiting.add(index)
    with tqdm(total=len(configurations), desc="labels", unit="structure") as progress:
        labelling = _Labelling(configurations, sections, store, work, result)
        try:
            with interrupting("finished labels are kept"):
                labelling.run(processes, progress)
        except Interrupted as interruption:
            interruption.progressed = result.computed > 0
            raise
    if labelling.gpu_failures:
        raise GlassmlError(
            f"the GPU failed under {len(labelling.gpu_failures)} of {len(configurations)} labels, "
            f"the first by {labelling.gpu_failures[0]}: finished labels are kept; run it again, "
            "with fewer processes where its memory was full (nvidia-smi tells)"
        )
    return result


def refuse_structure(atoms: Atoms, max_atoms: int) -> str | None:
    """Say why a structure cannot be calculated, or None.

    Parameters
    ----------
    atoms
        The structure.
    max_atoms
        Larger ones are refused.
    """
    if len(atoms) == 0:
        return "no atoms"
    if len(atoms) > max_atoms:
        return f"{len(atoms)} atoms are more than dft.max_atoms = {max_atoms}"
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        return "positions or cell are not finite"
    volume = abs(np.linalg.det(atoms.cell.array))
    if volume < 1.0:
        return "no cell: plane waves need three cell vectors"
    if volume / len(atoms) > LARGEST_VOLUME_PER_ATOM_A3:
        return f"{volume / len(atoms):.0f} Å³ per atom: more than {LARGEST_VOLUME_PER_ATOM_A3:.0f}"
    if (atoms.numbers < 1).any():
        return "an atom without an element"
    return _overlap(atoms)


def _overlap(atoms: Atoms) -> str | None:
    periodic = atoms.copy()
    periodic.pbc = True
    radii = covalent_radii[atoms.numbers] * SHORTEST_BOND_FRACTION
    first, second, distance = neighbor_list("ijd", periodic, radii.tolist())
    if len(distance) == 0:
        return None
    worst = int(np.argmin(distance))
    i, j = int(first[worst]), int(second[worst])
    return (
        f"atoms {i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]}) overlap: "
        f"{distance[worst]:.2f} Å"
    )


class _Labelling:
    """Labelling under way: fills a result by the store, by own work, or by other processes."""

    def __init__(
        self,
        configurations: Sequence[Atoms],
        sections: Sequence[Dft],
        store: LabelStore,
        work: Callable[..., LabelRecord],
        result: ShardResult,
    ) -> None:
        self.configurations = configurations
        self.sections = sections
        self.store = store
        self.work = work
        self.result = result
        self.keys = {index: str(result.keys[index]) for index in result.waiting}
        self.workers: list[Worker] = []
        self.claims: dict[int, ExitStack] = {}
        self.gpu_failures: list[GpuError] = []
        self.folder = Path()

    def run(self, processes: int, progress: tqdm) -> None:
        """Work until nothing waits."""
        waiting = self.result.waiting
        queue = [index for index in sorted(waiting) if not self._take_from_store(index)]
        if queue and self.work is climb:
            importlib.import_module("gpaw")  # once here, not once in each fork
            for xc in {self.sections[index].xc for index in queue if self.sections[index].gpu}:
                require_gpu(xc)
        with tempfile.TemporaryDirectory(prefix="glassml-dft-") as folder, ExitStack() as stack:
            self.folder = Path(folder)
            stack.callback(self._stop)
            refreshed = time.monotonic()
            while waiting:
                progress.update(len(self.configurations) - len(waiting) - progress.n)
                elsewhere = self._start(queue, processes)
                queue += [index for index in elsewhere if not self._take_from_store(index)]
                if not self.workers:
                    time.sleep(2.0 if queue else 0.0)  # other processes have the rest
                    continue
                patience = 5.0 if elsewhere else CLAIM_HEARTBEAT_S / 4
                for worker, outcome in wait_any(self.workers, patience):
                    self._finish(worker.item, outcome)
                if time.monotonic() - refreshed > CLAIM_HEARTBEAT_S:
                    refreshed = time.monotonic()
                    for index in self.claims:
                        self.store.refresh_claim(self.keys[index])
        progress.update(len(self.configurations) - progress.n)

    def _start(self, queue: list[int], processes: int) -> list[int]:
        """Start workers on what is queued; give back what other processes are working on."""
        elsewhere = []
        while queue and len(self.workers) < processes:
            index = queue.pop(0)
            claim = ExitStack()
            if not claim.enter_context(self.store.claim(self.keys[index])):
                elsewhere.append(index)
            # Whoever held the claim until now may just have written the record.
            elif self._take_from_store(index):
                claim.close()
            else:
                self.claims[index] = claim
                seconds = 60 * self.sections[index].max_minutes
                self.workers.append(start_worker(index, self._label, seconds))
        return elsewhere

    def _label(self, index: int) -> LabelRecord:
        log = self.folder / f"{index}.txt"
        dft = self.sections[index]
        return self.work(self.configurations[index], dft, dft.recipes, log)

    def _finish(self, index: int, outcome: LabelRecord | CrashError) -> None:
        record = _complete(self.configurations[index], self.sections[index], outcome)
        if isinstance(outcome, GpuError):
            self.gpu_failures.append(outcome)  # tells nothing of the structure: not stored
        else:
            self.store.put(self.keys[index], record)
            self.result.computed += 1
        self.claims.pop(index).close()
        self._settle(index, record)

    def _take_from_store(self, index: int) -> bool:
        record = _usable(self.store.get(self.keys[index]), self.sections[index])
        if record is not None and not _is_of(record, self.configurations[index]):
            LOGGER.warning("%s: is of another structure: made again", self.keys[index])
            record = None
        if record is not None:
            self._settle(index, record)
        return record is not None

    def _settle(self, index: int, record: LabelRecord) -> None:
        self.result.records[index] = record
        self.result.waiting.discard(index)

    def _stop(self) -> None:
        for worker in self.workers:
            worker.process.kill()
            worker.process.join()
        for claim in self.claims.values():
            claim.close()


def _usable(record: LabelRecord | None, dft: Dft) -> LabelRecord | None:
    """Drop a failure that today's ladder of recipes would try to better."""
    if record is None or record["status"] == "converged":
        return record
    return record if record.get("ladder") == list(dft.recipes) else None


def _is_of(record: LabelRecord, atoms: Atoms) -> bool:
    """Tell whether a record is of a structure, as far as it says of which it is."""
    structure = record.get("structure")
    return structure is None or dict(structure) == structure_record(atoms)


def _complete(atoms: Atoms, dft: Dft, outcome: LabelRecord | CrashError) -> LabelRecord:
    """Make the store's record of what a worker returned."""
    if isinstance(outcome, CrashError):
        record: LabelRecord = {"status": "failed", "reason": str(outcome), "attempts": []}
        LOGGER.warning("set aside: %s", outcome)
    else:
        record = outcome.copy()
    record["structure"] = structure_record(atoms)
    record["settings"] = determining_settings(atoms, dft)
    record["ladder"] = list(dft.recipes)
    record["versions"] = {name: version(name) for name in ("glassml", "gpaw", "ase", "numpy")}
    return record
