"""Reads what LAMMPS left of a state: samples from logs, frames from dumps; checks the guards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ase import Atoms, units
from ase.io.lammpsrun import iread_lammps_dump_text

from glassml.campaign.units import BAR_PER_GPA, G_CM3_PER_U_A3
from glassml.md.checkpoint import Checkpoint, Samples
from glassml.md.engines.lammps_input import FINISHED, Piece, frame_steps, stage_steps, turn_back
from glassml.md.engines.single import MAX_WAITING_BYTES, Outcome
from glassml.md.guards import GuardTripped, Limits, check_bounds, check_distances, check_energies
from glassml.md.protocol import Stage, start_times_fs
from glassml.md.recorder import frame_json
from glassml.md.thermodynamics import Thermodynamics, kinetic_temperature


@dataclass(frozen=True)
class Row:
    """A sample: the step, counted over all stages, and what was measured."""

    step: int
    now: Thermodynamics


class Log:
    """The log of a piece, also while LAMMPS writes it.

    Parameters
    ----------
    path
        The file; if it is not there, there are no samples.
    atoms
        Give masses and number.

    Attributes
    ----------
    rows
        Samples so far.
    seconds
        Wall time of the runs up to the last sample.
    finished
        Whether the script came to its end.
    error
        LAMMPS's own message if it stopped with one.
    """

    def __init__(self, path: Path, atoms: Atoms) -> None:
        self.path = path
        self.rows: list[Row] = []
        self.finished, self.error = False, ""
        self._mass, self._count = float(atoms.get_masses().sum()), len(atoms)
        self._place, self._inside = 0, False
        self._seconds = [0.0]
        self.update()

    @property
    def seconds(self) -> float:
        """Wall time of the runs up to the last sample."""
        return sum(self._seconds)

    def update(self) -> list[Row]:
        """Read what is new, in whole lines, and give the new samples."""
        known = len(self.rows)
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._place)
                self._read(file)
        return self.rows[known:]

    def _read(self, file: IO[bytes]) -> None:
        for line in file:
            if not line.endswith(b"\n"):
                return
            self._place += len(line)
            words = line.decode(errors="replace").split()
            if words[:2] == ["Step", "PotEng"]:
                self._inside = True
                self._seconds.append(0.0)
            elif words[:1] == ["Loop"]:
                self._inside = False
            elif words[:1] in (["ERROR:"], ["ERROR"]):
                self.error = " ".join(words)
            elif " ".join(words) == FINISHED:
                self.finished = True
            elif self._inside:
                self._row(words)

    def _row(self, words: Sequence[str]) -> None:
        """Take up a sample; temperatures are over 3N components, as of the other engines."""
        try:
            step = int(words[0])
            potential, kinetic, volume, pressure, seconds = (float(word) for word in words[1:])
        except (ValueError, IndexError):
            return
        self._seconds[-1] = seconds
        # The first row of a stage is the last one of the stage before.
        if self.rows and step <= self.rows[-1].step:
            return
        now = Thermodynamics(
            temperature_K=2.0 * kinetic / (3.0 * self._count * units.kB),
            pressure_GPa=pressure / BAR_PER_GPA,
            density_g_cm3=self._mass / volume * G_CM3_PER_U_A3,
            volume_A3=volume,
            potential_energy_eV=potential,
            kinetic_energy_eV=kinetic,
        )
        self.rows.append(Row(step, now))


class SampleGuard:
    """Checks one sample after the other.

    Parameters
    ----------
    start
        Where the state begins.
    stages, limits
        The protocol.
    """

    def __init__(self, start: Atoms, stages: Sequence[Stage], limits: Limits) -> None:
        self.stages, self.limits = stages, limits
        self._ends = [last for _, last in stage_steps(stages)]
        self._count = len(start)
        self._before: Thermodynamics | None = None
        self._stage = -1
        self._hottest_K, self._last_K = 0.0, kinetic_temperature(start)

    def stage_of(self, step: int) -> int:
        """Give the index of the stage that makes a step; step 0 is the first stage's."""
        return next(index for index, last in enumerate(self._ends) if step <= last)

    def check(self, row: Row) -> None:
        """Check a sample.

        Raises
        ------
        GuardTripped
            If it does not pass.
        """
        stage = self.stage_of(row.step)
        if stage != self._stage:
            targets = self.stages[stage].temperature_K or (0.0, 0.0)
            self._stage, self._hottest_K = stage, max(*targets, self._last_K)
        now = row.now
        check_energies(now, self._before, self._count, self.limits)
        check_bounds(now.temperature_K, now.density_g_cm3, self.limits, self._hottest_K)
        self._before, self._last_K = now, now.temperature_K


def kept_steps(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, float]]:
    """Give each piece and the last step that counts: the next piece makes the others again."""
    for piece, following in zip(pieces, [*pieces[1:], None], strict=True):
        yield piece, following.begin if following is not None else float("inf")


def read_rows(folder: Path, pieces: Sequence[Piece], start: Atoms) -> tuple[list[Row], float]:
    """Give the samples of all pieces, and the wall time in s."""
    rows: list[Row] = []
    seconds = 0.0
    for piece, last in kept_steps(pieces):
        log = Log(folder / piece.file("log"), start)
        seconds += log.seconds
        rows += [
            row for row in log.rows if (row.step > piece.begin or not rows) and row.step <= last
        ]
    return rows, seconds


def read_frames(
    folder: Path, pieces: Sequence[Piece], start: Atoms, stages: Sequence[Stage]
) -> Iterator[tuple[int, Atoms]]:
    """Give the frames of all pieces that are whole, with their steps."""
    for piece, last in kept_steps(pieces):
        path = folder / piece.file("frames")
        if not path.exists():
            return
        expected = [step for step in frame_steps(stages, piece.begin) if step <= last]
        with path.open(encoding="utf-8") as file:
            frames = iread_lammps_dump_text(file)
            for step in expected:
                try:
                    frame = next(frames)
                except (StopIteration, ValueError, RuntimeError, IndexError):
                    break  # the last one may be cut off
                if frame.info["timestep"] != step:
                    break
                yield step, turn_back(frame, start)


def read_final(path: Path, start: Atoms) -> Atoms:
    """Give the end of a finished run, in double precision."""
    with path.open(encoding="utf-8") as file:
        return turn_back(next(iread_lammps_dump_text(file)), start)


def read_back(
    folder: Path,
    pieces: Sequence[Piece],
    start: Atoms,
    stages: Sequence[Stage],
    limits: Limits,
    checkpoint: Checkpoint,
    stopped: str = "",
) -> Outcome:
    """Check all samples and frames, and put them into segments as the other engines have them.

    Parameters
    ----------
    folder
        Where LAMMPS ran.
    pieces
        What it ran.
    start
        Where the state begins.
    stages, limits
        The protocol.
    checkpoint
        Takes the segments.
    stopped
        Why it did not come to its end; empty where it did.

    Returns
    -------
    Outcome
        Stopped where a guard tripped. Its atoms are the end, or the last frame that passed.
    """
    rows, seconds = read_rows(folder, pieces, start)
    guard = SampleGuard(start, stages, limits)
    passed, reason = _check_rows(rows, guard)
    reason = reason or stopped
    last = rows[passed - 1].step if passed else -1
    times, samples = _Times(stages), Samples()
    good, offending = start, None
    if not rows:  # it stopped at once
        reason, offending = _too_close(start, limits) or reason, frame_json(start)
    for step, frame in read_frames(folder, pieces, start, stages):
        if step <= last and (close := _too_close(frame, limits)):
            reason, last = close, step - 1
        if step > last:
            offending = frame_json(frame)
            break
        good = frame
        samples.add_frame(times.at(step), step, guard.stage_of(step), frame)
        if samples.bytes() > MAX_WAITING_BYTES:
            checkpoint.flush(samples)
    for row in rows:
        if row.step <= last:
            samples.add_row(times.at(row.step), guard.stage_of(row.step), row.now)
    checkpoint.flush(samples)
    if reason:
        return Outcome("stopped", reason, good, offending, max(last, 0), seconds, len(pieces))
    end = read_final(folder / pieces[-1].file("final"), start)
    return Outcome("finished", "", end, None, last, seconds, len(pieces))


def _check_rows(rows: Sequence[Row], guard: SampleGuard) -> tuple[int, str]:
    """Give how many samples pass, and why the next does not."""
    for index, row in enumerate(rows):
        try:
            guard.check(row)
        except GuardTripped as trip:
            return index, str(trip)
    return len(rows), ""


def _too_close(frame: Atoms, limits: Limits) -> str:
    try:
        check_distances(frame, limits)
    except GuardTripped as trip:
        return str(trip)
    return ""


class _Times:
    """Times of steps that are counted over stages with different time steps."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = list(zip(stages, stage_steps(stages), start_times_fs(stages), strict=True))

    def at(self, step: int) -> float:
        for stage, (first, last), begin in self._stages:
            if step <= last:
                return begin + (step - first) * stage.timestep_fs
        raise ValueError(f"step {step} is after the last stage")
