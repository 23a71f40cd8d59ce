"""States of the glass: what each one is reached by, and those that a campaign has by default."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from glassml.campaign.config.base import Section

STATE_NAME = re.compile(r"[a-z][A-Za-z0-9_.]*(/[a-z][A-Za-z0-9_.]*)*")
GLASS_NAME = re.compile(r"glass\d{2}")
#: Below this a state counts as released, or never compressed.
AMBIENT_GPa = 0.5


def _pair(value: object) -> object:
    """Turn a single number into start and end; leave anything else to the field's checks."""
    return (value, value) if isinstance(value, int | float) else value


def _check_gigapascals(value: float) -> float:
    if not -20.0 <= value <= 300.0:
        raise ValueError(
            f"{value:g} GPa is outside -20 to 300: pressures are in GPa with compression positive; "
            "divide MPa by 1000, bar by 10,000"
        )
    return value


Temperature = Annotated[float, Field(gt=0.0, le=20_000.0)]
Pressure = Annotated[float, AfterValidator(_check_gigapascals)]
Temperatures = Annotated[tuple[Temperature, Temperature], BeforeValidator(_pair)]
Pressures = Annotated[tuple[Pressure, Pressure], BeforeValidator(_pair)]
Window = tuple[float, float]


class Stage(Section):
    """A ramp or a hold of temperature and pressure; both change linearly in time."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Name, unique in its state.")
    ensemble: Literal["npt", "nvt", "nve"] = Field(
        description="npt: thermostat and isotropic barostat; nvt: thermostat; nve: neither."
    )
    temperature_K: Temperatures | None = Field(
        default=None, description="Temperature, or [start, end] of a ramp; not for nve."
    )
    pressure_GPa: Pressures | None = Field(
        default=None, description="Pressure, or [start, end] of a ramp; for npt alone."
    )
    duration_ps: float | None = Field(
        default=None, gt=0.0, le=1e6, description="Length; or give one of the rates."
    )
    rate_K_per_ps: float | None = Field(
        default=None, gt=0.0, le=1e5, description="Speed of a temperature ramp, without sign."
    )
    rate_GPa_per_ps: float | None = Field(
        default=None, gt=0.0, le=1e3, description="Speed of a pressure ramp, without sign."
    )
    timestep_fs: float | None = Field(
        default=None, gt=0.0, le=8.0, description="Instead of the section's time step."
    )
    sample_every_fs: float | None = Field(
        default=None, gt=0.0, description="Instead of the section's interval of the series."
    )
    frame_every_fs: float | None = Field(
        default=None, gt=0.0, description="Instead of the section's interval of the trajectory."
    )

    @model_validator(mode="after")
    def _check_ensemble(self) -> "Stage":
        if self.ensemble == "nve" and (self.temperature_K or self.pressure_GPa):
            raise ValueError("an nve stage keeps its energy: remove temperature_K and pressure_GPa")
        if self.ensemble != "nve" and self.temperature_K is None:
            raise ValueError(f"an {self.ensemble} stage needs temperature_K")
        if self.ensemble == "npt" and self.pressure_GPa is None:
            raise ValueError("an npt stage needs pressure_GPa")
        if self.ensemble == "nvt" and self.pressure_GPa is not None:
            raise ValueError("an nvt stage keeps its volume: remove pressure_GPa, or use npt")
        return self

    @model_validator(mode="after")
    def _check_length(self) -> "Stage":
        lengths = (self.duration_ps, self.rate_K_per_ps, self.rate_GPa_per_ps)
        if sum(length is not None for length in lengths) != 1:
            raise ValueError("give exactly one of duration_ps, rate_K_per_ps, rate_GPa_per_ps")
        if self.length_ps() == 0.0:
            raise ValueError("a rate needs a ramp: start and end are equal, so its length is zero")
        return self

    def length_ps(self) -> float:
        """Give the length in ps, from the duration or from a ramp and its rate."""
        if self.duration_ps is not None:
            return self.duration_ps
        if self.rate_K_per_ps is not None:
            start, end = self.temperature_K or (0.0, 0.0)
            return abs(end - start) / self.rate_K_per_ps
        start, end = self.pressure_GPa or (0.0, 0.0)
        return abs(end - start) / (self.rate_GPa_per_ps or 1.0)


class State(Section):
    """A state of the glass: where it begins, and the stages that lead to it."""

    parent: str | None = Field(
        default=None, description="State whose end is the beginning; null begins with a melt."
    )
    stages: tuple[Stage, ...] = Field(
        min_length=1, description="MD stages: what is done, in this order."
    )

    @model_validator(mode="after")
    def _check_names(self) -> "State":
        names = [stage.name for stage in self.stages]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two stages have the same name: {', '.join(twice)}")
        if self.parent is None and self.stages[0].temperature_K is None:
            raise ValueError("the first stage of a melt needs temperature_K for its velocities")
        return self


def _stage(name: str, ensemble: str, **values: object) -> dict[str, object]:
    return {"name": name, "ensemble": ensemble, **values}


def default_states() -> dict[str, State]:
    """Give a melt-quench, a cold and a hot compression, in situ and recovered.

    Why these numbers is said in `docs/md.md`.
    """
    hold = {"temperature_K": 300.0, "duration_ps": 20.0}
    anneal = {"pressure_GPa": 7.7, "rate_K_per_ps": 20.0}

    def press(start_GPa: float, end_GPa: float) -> list[dict[str, object]]:
        name, speed = "compress" if end_GPa > start_GPa else "release", {"rate_GPa_per_ps": 0.2}
        pressures = [start_GPa, end_GPa]
        return [
            _stage(name, "npt", temperature_K=300.0, pressure_GPa=pressures, **speed),
            _stage("hold", "npt", pressure_GPa=end_GPa, **hold),
        ]

    states = {
        "ambient": {
            "stages": [
                _stage("mix", "nvt", temperature_K=5000.0, duration_ps=10.0),
                _stage("melt", "npt", temperature_K=4000.0, pressure_GPa=0.0, duration_ps=40.0),
                _stage(
                    "quench",
                    "npt",
                    temperature_K=[4000.0, 300.0],
                    pressure_GPa=0.0,
                    rate_K_per_ps=10.0,
                ),
                _stage("hold", "npt", pressure_GPa=0.0, **hold),
            ]
        },
        "cold_7.7GPa": {"parent": "ambient", "stages": press(0.0, 7.7)},
        "cold_7.7GPa/recovered": {"parent": "cold_7.7GPa", "stages": press(7.7, 0.0)},
        "cold_20GPa": {"parent": "cold_7.7GPa", "stages": press(7.7, 20.0)},
        "cold_20GPa/recovered": {"parent": "cold_20GPa", "stages": press(20.0, 0.0)},
        "hot_7.7GPa_1800K": {
            "parent": "cold_7.7GPa",
            "stages": [
                _stage("heat", "npt", temperature_K=[300.0, 1800.0], **anneal),
                _stage("anneal", "npt", temperature_K=1800.0, pressure_GPa=7.7, duration_ps=100.0),
                _stage("cool", "npt", temperature_K=[1800.0, 300.0], **anneal),
                _stage("hold", "npt", pressure_GPa=7.7, **hold),
            ],
        },
        "hot_7.7GPa_1800K/recovered": {"parent": "hot_7.7GPa_1800K", "stages": press(7.7, 0.0)},
    }
    return {name: State.model_validate(state) for name, state in states.items()}


def check_state_name(name: str) -> None:
    """Refuse what is no name of a state."""
    if not STATE_NAME.fullmatch(name):
        raise ValueError(
            f"states: {name!r} is no name of a state: letters, digits, '_' and '.', parts "
            "separated by '/', each beginning with a small letter"
        )
    if any(GLASS_NAME.fullmatch(part) for part in name.split("/")):
        raise ValueError(f"states: {name!r}: 'glass' and two digits name a glass, not a state")
