"""The batch engines: many glasses through the stages of a state at once.

Samples, guards, checkpoints and outputs are those of the ASE engine. Guards are checked when a
sample is taken, not after every step, so that the device is not made to wait. All glasses of a
batch draw from one stream of random numbers. A glass that trips a guard leaves the batch, after
which the others draw other numbers than they would have: the same for each repetition, and on a
continued run. What moves the batch is behind `glassml.md.engines.interface`.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from ase import Atoms
from tqdm import tqdm

from glassml.campaign.errors import Interrupted
from glassml.campaign.locks import hold
from glassml.campaign.signals import SignalWatch
from glassml.md.checkpoint import Checkpoint, Samples
from glassml.md.engines.interface import BatchEngine, Integrator
from glassml.md.engines.memory import fits
from glassml.md.engines.single import MAX_WAITING_BYTES, Outcome
from glassml.md.guards import GuardTripped, Limits, check_spread, check_step
from glassml.md.protocol import Coupling, Stage, digest, start_times_fs
from glassml.md.recorder import FrameJson, Recorder, frame_json
from glassml.md.run import Job, made_meanwhile, write_outputs
from glassml.md.thermodynamics import Thermodynamics, instant, kinetic_temperature

logger = logging.getLogger(__name__)

#: Steps that are made before signals and the clock are looked at.
MOST_STEPS = 256


class _Doubt(TypedDict):
    reason: str
    frame: FrameJson


class _Ended(TypedDict):
    status: str
    reason: str
    frame: FrameJson | None
    steps: int


@dataclass
class _Progress:
    stage: int = 0
    seconds: float = 0.0
    pieces: int = 0
    steps: int = 0
    hottest_K: dict[str, float] = field(default_factory=dict)
    ended: dict[str, _Ended] = field(default_factory=dict)
    spreads: dict[str, float] = field(default_factory=dict)
    asked: int = -(10**9)
    doubted: dict[str, _Doubt] = field(default_factory=dict)
    segments: dict[str, int] = field(default_factory=dict)


class BatchSimulation:
    """Several glasses on their way through the stages of one state, in one batch.

    Parameters
    ----------
    glasses
        Where each begins, with momenta, by name.
    engine
        What moves them.
    stages, coupling, limits
        What to do, how, and within which bounds.
    seed
        Of the batch's random numbers.
    checkpoint
        Of the batch: where to save, and from where to go on.
    stores
        A checkpoint for each glass, which takes its segments.
    checkpoint_every_s
        Wall time between two saves, in s.
    spread_every
        Steps between two questions to the engine's committee, at the next sample.
    """

    def __init__(
        self,
        glasses: Mapping[str, Atoms],
        engine: BatchEngine,
        stages: Sequence[Stage],
        coupling: Coupling,
        limits: Limits,
        seed: int,
        checkpoint: Checkpoint,
        stores: Mapping[str, Checkpoint],
        checkpoint_every_s: float = 60.0,
        spread_every: int = 500,
    ) -> None:
        self.atoms = {name: atoms.copy() for name, atoms in glasses.items()}
        self.engine = engine
        self.stages, self.coupling, self.limits = list(stages), coupling, limits
        self.seed = seed
        self.checkpoint, self.stores = checkpoint, stores
        self.checkpoint_every_s = checkpoint_every_s
        self.spread_every = spread_every
        self.recorders = {name: Recorder(atoms, limits) for name, atoms in self.atoms.items()}
        self.progress = _Progress()
        #: Glasses as they were when the committee was asked about them, until it has answered.
        self._asked: dict[str, Atoms] = {}
        #: Wall time of this piece by what it was spent on, in s: what limits a run.
        self.spent = {"steps": 0.0, "samples": 0.0, "checkpoints": 0.0}

    def alive(self) -> list[str]:
        """Give the names of the glasses that are in the batch, in its order."""
        return [name for name in self.atoms if name not in self.progress.ended]

    def run(self, *, show_progress: bool = True) -> dict[str, Outcome]:
        """Run to the end, or until no glass is left.

        Raises
        ------
        Interrupted
            If SIGTERM or SIGINT came; the checkpoint is written.
        """
        saved = self._load()
        arrays = None
        if saved is not None:
            arrays, header = saved
            self.progress = _Progress(**header)
            for name, recorder in self.recorders.items():
                prefix = f"{name}/"
                own = {key: arrays[key] for key in arrays if key.startswith(prefix)}
                recorder.restore({key.removeprefix(prefix): own[key] for key in own})
            logger.info("going on from step %d", self.progress.steps)
        self.progress.pieces += 1
        total = sum(stage.steps for stage in self.stages)
        bar = tqdm(
            total=total,
            initial=self.progress.steps,
            unit="step",
            mininterval=2.0,
            disable=not show_progress,
        )
        self._clock = time.monotonic()
        with SignalWatch() as watch, bar:
            if self.alive():
                self.engine.begin([self.atoms[name] for name in self.alive()], self.seed)
            for index in range(self.progress.stage, len(self.stages)):
                if not self.alive():
                    break
                self._run_stage(index, arrays, watch, bar)
                arrays = None
            self._hear()
            for name in self.alive():
                self._end_if_doubted(name)
        self._tick()
        return {name: self._outcome(name) for name in self.atoms}

    def _load(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Give the last save of the batch, if the segments of all its glasses are whole."""
        saved = self.checkpoint.load()
        if saved is not None:
            counts = saved[1]["segments"]
            if all(store.take(counts[name]) for name, store in self.stores.items()):
                return saved
            for store in self.stores.values():
                store.segments = 0
        return None

    def _outcome(self, name: str) -> Outcome:
        """Put what waits into a last segment, so that all samples are in the glass's store."""
        self.stores[name].flush(self.recorders[name].samples)
        progress, good = self.progress, self.recorders[name].good
        whole: _Ended = {
            "status": "finished",
            "reason": "",
            "frame": None,
            "steps": progress.steps,
        }
        end = progress.ended.get(name, whole)
        return Outcome(
            end["status"],
            end["reason"],
            good,
            end["frame"],
            end["steps"],
            progress.seconds,
            progress.pieces,
            progress.spreads.get(name),
        )

    def _tick(self) -> None:
        now = time.monotonic()
        self.progress.seconds += now - self._clock
        self._clock = now

    def _save(self) -> None:
        self._hear()
        self._tick()
        arrays = self.engine.integrator.arrays()
        for name, recorder in self.recorders.items():
            self.stores[name].flush(recorder.samples)
            self.progress.segments[name] = self.stores[name].segments
            arrays |= {f"{name}/{key}": value for key, value in recorder.state().items()}
        self.checkpoint.save(Samples(), arrays, vars(self.progress))

    def _run_stage(
        self,
        index: int,
        arrays: Mapping[str, Any] | None,
        watch: SignalWatch,
        bar: tqdm,
    ) -> None:
        stage, progress = self.stages[index], self.progress
        self.engine.begin_stage(stage, self.coupling)
        integrator = self.engine.integrator
        if arrays is not None:
            integrator.restore(arrays)
        else:
            self._begin_stage(index)
        begin = start_times_fs(self.stages)[index]
        saved_at = time.monotonic()
        while integrator.step < stage.steps and self.alive():
            count = steps_to_next(stage, integrator.step)
            with self._spending("steps"):
                integrator.advance(count)
            progress.steps += count
            bar.update(count)
            with self._spending("samples"):
                self._observe(integrator, index, begin, bar)
            waiting = sum(recorder.samples.bytes() for recorder in self.recorders.values())
            due = time.monotonic() - saved_at > self.checkpoint_every_s
            if due or watch.number or waiting > MAX_WAITING_BYTES:
                with self._spending("checkpoints"):
                    self._save()
                saved_at = time.monotonic()
            if watch.number:
                raise Interrupted(watch.number)

    @contextmanager
    def _spending(self, use: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self.spent[use] += time.monotonic() - begin

    def _begin_stage(self, index: int) -> None:
        self.progress.stage = index
        targets = self.stages[index].temperature_K or (0.0, 0.0)
        self._fetch()
        for name in self.alive():
            hottest = max(*targets, kinetic_temperature(self.atoms[name]))
            self.progress.hottest_K[name] = hottest
        if index == 0:
            self._sample(0.0, 0)
            for name in self.alive():
                self.recorders[name].samples.add_frame(0.0, 0, 0, self.atoms[name])

    def _observe(self, integrator: Integrator, index: int, begin: float, bar: tqdm) -> None:
        stage, step = integrator.stage, integrator.step
        time_fs = begin + step * stage.timestep_fs
        last = step == stage.steps
        framing = last or step % stage.frame_every == 0
        sampling = last or step % stage.sample_every == 0
        if framing and not sampling:
            self._fetch()
        if sampling:
            instants = self._sample(time_fs, index)
            rate = (bar.format_dict["rate"] or 0.0) * stage.timestep_fs * 0.0864
            if instants:
                mean = np.mean([now.numbers() for now in instants], axis=0)
                bar.set_postfix_str(
                    f"{stage.name} {len(instants)} glasses {mean[0]:.0f} K {mean[1]:+.2f} GPa "
                    f"{mean[2]:.3f} g/cm³ {rate:.3f} ns/day, {_limit(self.spent)}",
                    refresh=False,
                )
        if framing:
            for name in self.alive():
                samples = self.recorders[name].samples
                samples.add_frame(time_fs, self.progress.steps, index, self.atoms[name])

    def _fetch(self) -> None:
        """Copy positions, momenta and boxes from the device."""
        positions, momenta, cells = self.engine.positions_momenta_cells()
        begin = 0
        for name, cell in zip(self.alive(), cells, strict=True):
            atoms = self.atoms[name]
            end = begin + len(atoms)
            atoms.set_cell(cell)
            atoms.positions[:] = positions[begin:end]
            atoms.set_momenta(momenta[begin:end])
            begin = end

    def _sample(self, time_fs: float, index: int) -> list[Thermodynamics]:
        """Sample all glasses; those that trip a guard leave the batch."""
        self._fetch()
        energies, stresses = self.engine.energies_stresses()
        self._hear()
        tripped: list[int] = []
        instants = []
        for place, name in enumerate(self.alive()):
            atoms = self.atoms[name]
            if self._end_if_doubted(name):
                tripped.append(place)
                continue
            try:
                check_step(atoms, self.limits, self.progress.hottest_K[name])
                now = instant(atoms, float(energies[place]), float(np.trace(stresses[place])))
                self.recorders[name].sample(time_fs, index, atoms, now)
                instants.append(now)
            except GuardTripped as trip:
                self._end(name, str(trip), frame_json(atoms, trip.atom))
                tripped.append(place)
        if self.alive():
            for place in reversed(tripped):
                self.engine.remove(place)
            self._ask()
        return instants

    def _end(self, name: str, reason: str, frame: FrameJson) -> None:
        """Note that a glass leaves the batch."""
        logger.warning("%s leaves the batch: %s", name, reason)
        self.progress.ended[name] = {
            "status": "stopped",
            "reason": reason,
            "frame": frame,
            "steps": self.progress.steps,
        }

    def _end_if_doubted(self, name: str) -> bool:
        """Let a glass leave that the committee disagreed about."""
        doubt = self.progress.doubted.pop(name, None)
        if doubt is not None:
            self._end(name, doubt["reason"], doubt["frame"])
        return doubt is not None

    def _ask(self) -> None:
        """Begin to ask the committee about all glasses, if it is time."""
        if self.progress.steps - self.progress.asked < self.spread_every:
            return
        self.progress.asked = self.progress.steps
        self.engine.ask_committee()
        self._asked = {name: self.atoms[name].copy() for name in self.alive()}

    def _hear(self) -> None:
        """Wait for what the committee says; who is doubted leaves at the next sample.

        So that it is the same sample whether or not a checkpoint was written in between.
        """
        asked, self._asked = self._asked, {}
        spreads = self.engine.force_spreads() if asked else []
        for (name, atoms), (spread, atom) in zip(asked.items(), spreads, strict=False):
            largest = self.progress.spreads.get(name, 0.0)
            self.progress.spreads[name] = max(largest, spread)
            try:
                check_spread(spread, self.limits, atom)
            except GuardTripped as trip:
                frame = frame_json(atoms, trip.atom)
                self.progress.doubted[name] = {"reason": str(trip), "frame": frame}


def _limit(spent: Mapping[str, float]) -> str:
    """Say what most of the time goes into."""
    use = max(spent, key=lambda each: spent[each])
    return f"{spent[use] / (sum(spent.values()) or 1.0):.0%} of the time in {use}"


def steps_to_next(stage: Stage, step: int) -> int:
    """Give how many steps can be made before something has to be looked at.

    The same for a run that goes on: engines may sum differently in steps made at once.
    """
    intervals = (stage.sample_every, stage.frame_every, MOST_STEPS)
    return min(stage.steps - step, *(every - step % every for every in intervals))


def run_batch(
    jobs: Mapping[str, Job],
    glasses: Mapping[str, Atoms],
    engine: BatchEngine,
    folder: Path,
    *,
    checkpoint_every_s: float = 60.0,
    spread_every: int = 500,
    warnings: Sequence[str] = (),
    show_progress: bool = True,
) -> dict[str, dict[str, object]]:
    """Run a state of several glasses, or go on where it was interrupted, and write their files.

    Parameters
    ----------
    jobs, glasses
        What is run and where it begins, by name of the glass; one protocol for all.
    engine
        What moves them.
    folder
        Of the state: each glass has a folder of its name in it, and the batch's checkpoint one
        beside, which other batches of the state do not share.
    spread_every
        Steps between two questions to the engine's committee.
    checkpoint_every_s, warnings, show_progress
        As in `run_job`.

    Returns
    -------
    dict
        The records by name.

    Raises
    ------
    Interrupted
        If a signal came; call again to go on.
    GlassmlError
        If the glasses do not fit into the memory of the device.
    """
    first = next(iter(jobs.values()))
    identity = digest([jobs[name].identity() for name in jobs])
    with ExitStack() as stack:
        # In one order, so that two batches never wait for each other.
        locks = {
            name: stack.enter_context(hold(folder / name, "runs this state"))
            for name in sorted(jobs)
        }
        if any(lock.waited for lock in locks.values()):
            made = {name: made_meanwhile(jobs[name], folder / name) for name in jobs}
            found = {name: record for name, record in made.items() if record is not None}
            if len(found) == len(jobs):
                return found
        checkpoint = Checkpoint(folder / f"checkpoint_{digest(list(jobs))[:12]}", identity)
        stores = {
            name: Checkpoint(folder / name / "checkpoint", identity, locks[name]) for name in jobs
        }
        simulation = BatchSimulation(
            glasses,
            engine,
            first.stages,
            first.coupling,
            first.limits,
            first.dynamics_seed,
            checkpoint,
            stores,
            checkpoint_every_s,
            spread_every,
        )
        with fits([len(atoms) for atoms in glasses.values()], engine.model.device):
            outcomes = simulation.run(show_progress=show_progress)
        records = {
            name: write_outputs(jobs[name], outcome, stores[name], folder / name, warnings)
            for name, outcome in outcomes.items()
        }
        for finished in (checkpoint, *stores.values()):
            finished.remove()
        return records
