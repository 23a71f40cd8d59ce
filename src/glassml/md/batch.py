"""The torch-sim engine: many glasses through the stages of a state in one batch.

Samples, guards, checkpoints and outputs are those of the ASE engine. Guards are checked when a
sample is taken, not after every step, so that the device is not made to wait. All glasses of a
batch draw from one stream of random numbers. A glass that trips a guard leaves the batch, after
which the others draw other numbers than they would have: the same for each repetition, and on a
continued run.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from torch_sim.integrators.md import MDState
from torch_sim.models.interface import ModelInterface
from tqdm import tqdm

from glassml.md.checkpoint import Checkpoint, Samples
from glassml.md.engine import MAX_WAITING_BYTES, Interrupted, Outcome, SignalWatch
from glassml.md.guards import GuardTripped, Limits, check_step
from glassml.md.protocol import Coupling, Stage, digest, start_times_fs
from glassml.md.recorder import Recorder, frame_json
from glassml.md.run import Job, write_outputs
from glassml.md.thermodynamics import Thermodynamics, instant, kinetic_temperature
from glassml.md.torchsim import BatchedLangevin, Remembering, batch_state

logger = logging.getLogger(__name__)


@dataclass
class _Progress:
    stage: int = 0
    seconds: float = 0.0
    pieces: int = 0
    steps: int = 0
    hottest_K: dict[str, float] = field(default_factory=dict)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    segments: dict[str, int] = field(default_factory=dict)


class BatchSimulation:
    """Several glasses on their way through the stages of one state, in one batch.

    Parameters
    ----------
    glasses
        Where each begins, with momenta, by name.
    model
        A torch-sim model with stress.
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
    """

    def __init__(
        self,
        glasses: Mapping[str, Atoms],
        model: ModelInterface,
        stages: Sequence[Stage],
        coupling: Coupling,
        limits: Limits,
        seed: int,
        checkpoint: Checkpoint,
        stores: Mapping[str, Checkpoint],
        checkpoint_every_s: float = 60.0,
    ) -> None:
        self.atoms = {name: atoms.copy() for name, atoms in glasses.items()}
        self.model = Remembering(model)
        self.stages, self.coupling, self.limits = list(stages), coupling, limits
        self.seed = seed
        self.checkpoint, self.stores = checkpoint, stores
        self.checkpoint_every_s = checkpoint_every_s
        self.recorders = {name: Recorder(atoms, limits) for name, atoms in self.atoms.items()}
        self.progress = _Progress()

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
        saved = self.checkpoint.load()
        arrays = None
        if saved is not None:
            arrays, header = saved
            self.progress = _Progress(**header)
            for name, recorder in self.recorders.items():
                prefix = f"{name}/"
                own = {key: arrays[key] for key in arrays if key.startswith(prefix)}
                recorder.restore({key.removeprefix(prefix): own[key] for key in own})
                self.stores[name].segments = self.progress.segments[name]
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
            state = batch_state(
                [self.atoms[name] for name in self.alive()], self.model.model, self.seed
            )
            for index in range(self.progress.stage, len(self.stages)):
                if not self.alive():
                    break
                state = self._run_stage(index, state, arrays, watch, bar)
                arrays = None
        self._tick()
        return {name: self._outcome(name) for name in self.atoms}

    def _outcome(self, name: str) -> Outcome:
        """Put what waits into a last segment, so that all samples are in the glass's store."""
        self.stores[name].flush(self.recorders[name].samples)
        progress, good = self.progress, self.recorders[name].good
        end = progress.ended.get(
            name, {"reason": "", "frame": None, "steps": progress.steps, "status": "finished"}
        )
        return Outcome(
            end["status"],
            end["reason"],
            good,
            end["frame"],
            end["steps"],
            progress.seconds,
            progress.pieces,
        )

    def _tick(self) -> None:
        now = time.monotonic()
        self.progress.seconds += now - self._clock
        self._clock = now

    def _save(self, integrator: BatchedLangevin) -> None:
        self._tick()
        arrays = integrator.arrays()
        for name, recorder in self.recorders.items():
            self.stores[name].flush(recorder.samples)
            self.progress.segments[name] = self.stores[name].segments
            arrays |= {f"{name}/{key}": value for key, value in recorder.state().items()}
        self.checkpoint.save(Samples(), arrays, vars(self.progress))

    def _run_stage(
        self,
        index: int,
        state: MDState,
        arrays: Mapping[str, Any] | None,
        watch: SignalWatch,
        bar: tqdm,
    ) -> MDState:
        stage, progress = self.stages[index], self.progress
        integrator = BatchedLangevin(state, self.model, stage, self.coupling)
        if arrays is not None:
            integrator.restore(arrays)
        else:
            self._begin_stage(index, integrator)
        begin = start_times_fs(self.stages)[index]
        saved_at = time.monotonic()
        while integrator.step < stage.steps and self.alive():
            integrator.advance()
            progress.steps += 1
            bar.update()
            self._observe(integrator, index, begin, bar)
            waiting = sum(recorder.samples.bytes() for recorder in self.recorders.values())
            due = time.monotonic() - saved_at > self.checkpoint_every_s
            if due or watch.number or waiting > MAX_WAITING_BYTES:
                self._save(integrator)
                saved_at = time.monotonic()
            if watch.number:
                raise Interrupted(watch.number)
        return integrator.state

    def _begin_stage(self, index: int, integrator: BatchedLangevin) -> None:
        self.progress.stage = index
        targets = self.stages[index].temperature_K or (0.0, 0.0)
        self._fetch(integrator.state)
        for name in self.alive():
            hottest = max(*targets, kinetic_temperature(self.atoms[name]))
            self.progress.hottest_K[name] = hottest
        if index == 0:
            self._sample(integrator, 0.0, 0)
            for name in self.alive():
                self.recorders[name].samples.add_frame(0.0, 0, 0, self.atoms[name])

    def _observe(self, integrator: BatchedLangevin, index: int, begin: float, bar: tqdm) -> None:
        stage, step = integrator.stage, integrator.step
        time_fs = begin + step * stage.timestep_fs
        last = step == stage.steps
        framing = last or step % stage.frame_every == 0
        sampling = last or step % stage.sample_every == 0
        if framing and not sampling:
            self._fetch(integrator.state)
        if sampling:
            instants = self._sample(integrator, time_fs, index)
            rate = (bar.format_dict["rate"] or 0.0) * stage.timestep_fs * 0.0864
            if instants:
                mean = np.mean([now.numbers() for now in instants], axis=0)
                bar.set_postfix_str(
                    f"{stage.name} {len(instants)} glasses {mean[0]:.0f} K {mean[1]:+.2f} GPa "
                    f"{mean[2]:.3f} g/cm³ {rate:.3f} ns/day",
                    refresh=False,
                )
        if framing:
            for name in self.alive():
                samples = self.recorders[name].samples
                samples.add_frame(time_fs, self.progress.steps, index, self.atoms[name])

    def _fetch(self, state: MDState) -> None:
        """Copy positions, momenta and boxes from the device."""
        positions, momenta = state.positions.cpu().numpy(), state.momenta.cpu().numpy()
        cells = state.row_vector_cell.cpu().numpy()
        begin = 0
        for name, cell in zip(self.alive(), cells, strict=True):
            atoms = self.atoms[name]
            end = begin + len(atoms)
            atoms.set_cell(cell)
            atoms.positions[:] = positions[begin:end]
            atoms.set_momenta(momenta[begin:end])
            begin = end

    def _sample(
        self, integrator: BatchedLangevin, time_fs: float, index: int
    ) -> list[Thermodynamics]:
        """Sample all glasses; those that trip a guard leave the batch."""
        self._fetch(integrator.state)
        energies = integrator.state.energy.cpu().numpy()
        stresses = self.model.last["stress"].cpu().numpy()
        tripped: list[int] = []
        instants = []
        for place, name in enumerate(self.alive()):
            atoms = self.atoms[name]
            try:
                check_step(atoms, self.limits, self.progress.hottest_K[name])
                now = instant(atoms, float(energies[place]), float(np.trace(stresses[place])))
                self.recorders[name].sample(time_fs, index, atoms, now)
                instants.append(now)
            except GuardTripped as trip:
                logger.warning("%s leaves the batch: %s", name, trip)
                tripped.append(place)
                self.progress.ended[name] = {
                    "status": "stopped",
                    "reason": str(trip),
                    "frame": frame_json(atoms),
                    "steps": self.progress.steps,
                }
        for place in reversed(tripped):
            if integrator.state.n_systems > 1:
                integrator.remove(place)
        return instants


def run_batch(
    jobs: Mapping[str, Job],
    glasses: Mapping[str, Atoms],
    model: ModelInterface,
    folder: Path,
    *,
    checkpoint_every_s: float = 60.0,
    warnings: Sequence[str] = (),
    show_progress: bool = True,
) -> dict[str, dict[str, Any]]:
    """Run a state of several glasses, or go on where it was interrupted, and write their files.

    Parameters
    ----------
    jobs, glasses
        What is run and where it begins, by name of the glass; one protocol for all.
    model
        A torch-sim model with stress.
    folder
        Of the state: each glass has a folder of its name in it, and the checkpoint one beside.
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
    """
    first = next(iter(jobs.values()))
    identity = digest([jobs[name].identity() for name in jobs])
    checkpoint = Checkpoint(folder / "checkpoint", identity)
    stores = {name: Checkpoint(folder / name / "checkpoint", identity) for name in jobs}
    simulation = BatchSimulation(
        glasses,
        model,
        first.stages,
        first.coupling,
        first.limits,
        first.dynamics_seed,
        checkpoint,
        stores,
        checkpoint_every_s,
    )
    outcomes = simulation.run(show_progress=show_progress)
    records = {
        name: write_outputs(jobs[name], outcome, stores[name], folder / name, warnings)
        for name, outcome in outcomes.items()
    }
    for finished in (checkpoint, *stores.values()):
        finished.remove()
    return records
