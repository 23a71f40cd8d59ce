"""Runs the stages of a state with ASE: samples, guards, checkpoints, exact continuation."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from tqdm import tqdm

from glassml.campaign.errors import Interrupted
from glassml.campaign.signals import SignalWatch
from glassml.md.checkpoint import Checkpoint
from glassml.md.engines.integrator import RampedLangevin
from glassml.md.guards import GuardTripped, Limits, check_spread, check_step
from glassml.md.protocol import Coupling, Stage, start_times_fs
from glassml.md.recorder import FrameJson, Recorder, frame_json
from glassml.md.thermodynamics import Thermodynamics, kinetic_temperature, measure
from glassml.potential.disagreement import worst_force

logger = logging.getLogger(__name__)

#: Frames that wait for a checkpoint may take this much memory, whatever the clock says.
MAX_WAITING_BYTES = 256 * 2**20


@dataclass
class Outcome:
    """How a run ended.

    Attributes
    ----------
    status
        "finished", or "stopped" by a guard.
    reason
        Why it was stopped; empty when finished.
    atoms
        The last state that passed the guards.
    offending
        The frame that did not pass, as `frame_json` gives it, if any.
    steps
        Time steps made, over all stages.
    seconds
        Wall time of the integration, with earlier pieces.
    pieces
        Number of times that the run was begun or continued.
    largest_spread_eV_A
        Largest disagreement of the committee about a force; None where none was asked.
    """

    status: str
    reason: str
    atoms: Atoms
    offending: FrameJson | None
    steps: int
    seconds: float
    pieces: int
    largest_spread_eV_A: float | None = None


@dataclass
class _Progress:
    """How far a run is; all of it is in the checkpoint's header."""

    stage: int = 0
    hottest_K: float = 0.0
    seconds: float = 0.0
    pieces: int = 0
    steps: int = 0
    spread: float | None = None
    asked: int = -(10**9)


class Simulation:
    """One glass on its way through the stages of one state.

    Parameters
    ----------
    atoms
        Where it begins, with momenta; moved in place.
    calculator
        ASE calculator of energy, forces and stress. Its results may depend on nothing but the
        positions and the cell, or a continued run is not the same bit for bit.
    stages, coupling, limits
        What to do, how, and within which bounds.
    rng
        Random numbers of thermostat and barostat.
    checkpoint
        Where to save, and from where to go on.
    checkpoint_every_s
        Wall time between two saves, in s.
    committee
        Calculators of further members, which are asked for their forces from time to time.
    spread_every
        Steps between two questions to the committee, at the next sample.
    """

    def __init__(
        self,
        atoms: Atoms,
        calculator: Calculator,
        stages: Sequence[Stage],
        coupling: Coupling,
        limits: Limits,
        rng: np.random.Generator,
        checkpoint: Checkpoint,
        checkpoint_every_s: float = 60.0,
        committee: Sequence[Calculator] = (),
        spread_every: int = 500,
    ) -> None:
        self.atoms = atoms
        self.atoms.calc = calculator
        self.stages = list(stages)
        self.coupling = coupling
        self.recorder = Recorder(atoms, limits)
        self.rng = rng
        self.checkpoint = checkpoint
        self.checkpoint_every_s = checkpoint_every_s
        self.committee, self.spread_every = list(committee), spread_every
        self.progress = _Progress()

    def run(self, *, show_progress: bool = True) -> Outcome:
        """Run to the end, or until a guard trips.

        Raises
        ------
        Interrupted
            If SIGTERM or SIGINT came; the checkpoint is written.
        """
        saved = self.checkpoint.load()
        if saved is not None:
            state, header = saved
            self.progress = _Progress(**header)
            self._place(state)
            logger.info("going on from step %d", self.progress.steps)
        else:
            state = None
        self.progress.pieces += 1
        total = sum(stage.steps for stage in self.stages)
        with (
            SignalWatch() as watch,
            tqdm(
                total=total,
                initial=self.progress.steps,
                unit="step",
                mininterval=2.0,
                disable=not show_progress,
            ) as bar,
        ):
            self._clock = time.monotonic()
            try:
                for index in range(self.progress.stage, len(self.stages)):
                    self._run_stage(index, state, watch, bar)
                    state = None
            except GuardTripped as trip:
                return self._outcome("stopped", str(trip), frame_json(self.atoms, trip.atom))
        return self._outcome("finished", "", None)

    def _place(self, state: dict[str, Any]) -> None:
        """Put the atoms where the checkpoint has them."""
        self.atoms.set_cell(state["cell"])
        self.atoms.positions[:] = state["positions"]
        self.atoms.set_momenta(state["momenta"])
        self.recorder.restore(state)

    def _save(self, integrator: RampedLangevin) -> None:
        self._tick()
        self.checkpoint.save(
            self.recorder.samples,
            integrator.state() | self.recorder.state(),
            asdict(self.progress),
        )

    def _outcome(self, status: str, reason: str, offending: FrameJson | None) -> Outcome:
        """Put what waits into a last segment, so that all samples are in the checkpoint."""
        self._tick()
        self.checkpoint.flush(self.recorder.samples)
        progress = self.progress
        return Outcome(
            status,
            reason,
            self.recorder.good,
            offending,
            progress.steps,
            progress.seconds,
            progress.pieces,
            progress.spread,
        )

    def _tick(self) -> None:
        now = time.monotonic()
        self.progress.seconds += now - self._clock
        self._clock = now

    def _run_stage(
        self, index: int, state: dict[str, Any] | None, watch: SignalWatch, bar: tqdm
    ) -> None:
        stage = self.stages[index]
        progress = self.progress
        if state is None:
            progress.stage = index
            targets = stage.temperature_K or (0.0, 0.0)
            progress.hottest_K = max(*targets, kinetic_temperature(self.atoms))
        integrator = RampedLangevin(self.atoms, stage, self.coupling, self.rng)
        if state is not None:
            integrator.restore(state)
        elif index == 0:
            self._sample(0.0, 0)
            self.recorder.samples.add_frame(0.0, 0, 0, self.atoms)
        begin = start_times_fs(self.stages)[index]
        saved_at = time.monotonic()
        while integrator.step < stage.steps:
            self._advance(integrator)
            progress.steps += 1
            bar.update()
            self._observe(integrator, index, begin, bar)
            due = time.monotonic() - saved_at > self.checkpoint_every_s
            if due or watch.number or self.recorder.samples.bytes() > MAX_WAITING_BYTES:
                self._save(integrator)
                saved_at = time.monotonic()
            if watch.number:
                raise Interrupted(watch.number)

    def _advance(self, integrator: RampedLangevin) -> None:
        try:
            integrator.advance()
        except Exception as error:
            # Potentials raise all sorts of errors when atoms are nowhere.
            if integrator.is_finite():
                raise
            raise GuardTripped("positions or forces are not numbers") from error
        if not integrator.is_finite():
            raise GuardTripped("positions or forces are not numbers")
        check_step(self.atoms, self.recorder.limits, self.progress.hottest_K)

    def _observe(self, integrator: RampedLangevin, index: int, begin: float, bar: tqdm) -> None:
        stage, step = integrator.stage, integrator.step
        time_fs = begin + step * stage.timestep_fs
        last = step == stage.steps
        if last or step % stage.sample_every == 0:
            instant = self._sample(time_fs, index)
            rate = bar.format_dict["rate"] or 0.0
            bar.set_postfix_str(
                f"{stage.name} {instant.temperature_K:.0f} K {instant.pressure_GPa:+.2f} GPa "
                f"{instant.density_g_cm3:.3f} g/cm³ {rate * stage.timestep_fs * 0.0864:.3f} ns/day",
                refresh=False,
            )
        if last or step % stage.frame_every == 0:
            self.recorder.samples.add_frame(time_fs, self.progress.steps, index, self.atoms)

    def _sample(self, time_fs: float, index: int) -> Thermodynamics:
        instant = measure(self.atoms)
        self._ask_committee()
        self.recorder.sample(time_fs, index, self.atoms, instant)
        return instant

    def _ask_committee(self) -> None:
        """Ask the committee, if there is one and it is time."""
        progress = self.progress
        if not self.committee or progress.steps - progress.asked < self.spread_every:
            return
        progress.asked = progress.steps
        forces = [self.atoms.get_forces()]
        forces += [member.get_forces(self.atoms.copy()) for member in self.committee]
        spread, atom = worst_force(forces)
        progress.spread = max(progress.spread or 0.0, spread)
        check_spread(spread, self.recorder.limits, atom)
