"""Protocols as data: stages with linear ramps, and where a step lies in them."""

import hashlib
import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Stage:
    """A ramp or a hold, counted in time steps.

    Attributes
    ----------
    name
        What the stage is called in series and records.
    ensemble
        "npt" (thermostat, isotropic barostat), "nvt" (thermostat) or "nve".
    steps
        Number of time steps.
    timestep_fs
        Time step in fs.
    temperature_K
        Start and end in K; None for "nve".
    pressure_GPa
        Start and end in GPa; None but for "npt".
    sample_every, frame_every
        Steps between two rows of the series, and between two frames of the trajectory.
    """

    name: str
    ensemble: str
    steps: int
    timestep_fs: float
    temperature_K: tuple[float, float] | None
    pressure_GPa: tuple[float, float] | None
    sample_every: int
    frame_every: int

    def temperature_at(self, step: int) -> float | None:
        """Give the thermostat's temperature in K during `step`, counted from 1."""
        return _ramp(self.temperature_K, step / self.steps)

    def pressure_at(self, step: int) -> float | None:
        """Give the barostat's pressure in GPa during `step`, counted from 1."""
        return _ramp(self.pressure_GPa, step / self.steps)

    def length_fs(self) -> float:
        """Give the length in fs."""
        return self.steps * self.timestep_fs


@dataclass(frozen=True)
class Coupling:
    """Strength of thermostat and barostat.

    Attributes
    ----------
    thermostat_fs
        Time constant of the velocities' Langevin friction, in fs.
    barostat_fs
        Period in fs of the volume's oscillation in a material of `bulk_modulus_GPa`; also the
        time constant of the barostat's own Langevin friction.
    bulk_modulus_GPa
        Rough stiffness of the material, in GPa.
    """

    thermostat_fs: float
    barostat_fs: float
    bulk_modulus_GPa: float


def _ramp(ends: tuple[float, float] | None, fraction: float) -> float | None:
    if ends is None:
        return None
    start, end = ends
    return start + (end - start) * fraction


def start_times_fs(stages: Sequence[Stage]) -> list[float]:
    """Give the time in fs at which each stage begins, the first at 0."""
    times = [0.0]
    for stage in stages[:-1]:
        times.append(times[-1] + stage.length_fs())
    return times


def describe(stages: Sequence[Stage]) -> list[dict]:
    """Give the stages as JSON-ready dictionaries."""
    return [json.loads(json.dumps(asdict(stage))) for stage in stages]


def differing(
    done: Sequence[Mapping[str, Any]],
    asked: Sequence[Any],
    alike: Callable[[Any, Any], bool] = operator.eq,
) -> str:
    """Name the stages that were done in another way than asked; empty if all were as asked.

    Parameters
    ----------
    done
        As `describe` gives them.
    asked
        As many, of any kind that `alike` compares with one of `done`.
    alike
        Whether a stage is as asked.
    """
    pairs = zip(done, asked, strict=False)
    names = [one["name"] for one, other in pairs if not alike(one, other)]
    if not names and len(done) != len(asked):
        return "another number of them"
    return ", ".join(names)


def digest(*parts: object) -> str:
    """Digest JSON-ready values: what a checkpoint must agree with to be continued."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
