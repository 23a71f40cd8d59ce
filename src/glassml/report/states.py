"""What a state of the glass is, read from its protocol: pressure, history, name for people."""

from dataclasses import dataclass
from typing import Literal

from glassml.campaign.config.md import MolecularDynamics
from glassml.campaign.config.states import AMBIENT_GPa

ROOM_K = 400.0  # compression above this temperature counts as hot

Kind = Literal[
    "ambient", "cold in situ", "cold recovered", "hot in situ", "hot recovered", "liquid"
]
KINDS: tuple[Kind, ...] = (
    "ambient",
    "cold in situ",
    "cold recovered",
    "hot in situ",
    "hot recovered",
    "liquid",
)


@dataclass(frozen=True)
class State:
    """A state and its history.

    Attributes
    ----------
    name
        Its name in the configuration.
    kind
        Compressed or released, cold (300 K) or hot.
    pressure_GPa, temperature_K
        Targets at the end; pressure is None after constant volume.
    peak_pressure_GPa
        Highest pressure since the quench.
    anneal_temperature_K
        Highest temperature under pressure.
    from_melt
        Whether a classical melt was quenched under the pressure, in place of an anneal.
    """

    name: str
    kind: Kind
    pressure_GPa: float | None
    temperature_K: float
    peak_pressure_GPa: float
    anneal_temperature_K: float
    from_melt: bool = False

    @property
    def where(self) -> str:
        """Tell "recovered" from "in situ"; empty for what was not compressed."""
        return self.kind.partition(" ")[2]

    @property
    def heat(self) -> str:
        """Say what a hot state went through: the temperature of its anneal, or a melt."""
        return "from the melt" if self.from_melt else f"{self.anneal_temperature_K:.0f} K"

    @property
    def label(self) -> str:
        """Give a short name for legends."""
        if self.kind == "ambient":
            # Glasses that never were compressed differ by how they were made: their names tell.
            return self.name.replace("_", " ")
        if self.kind == "liquid":
            return f"liquid {self.temperature_K:.0f} K"
        way, where = self.kind.partition(" ")[0], self.where
        heat = f" {self.heat}" if way == "hot" else ""
        pressure = self.peak_pressure_GPa if where == "recovered" else (self.pressure_GPa or 0.0)
        return f"{way} {pressure:g} GPa{heat}, {where}"


def describe(md: MolecularDynamics, name: str) -> State:
    """Classify a state by what was done to it.

    Parameters
    ----------
    md
        Section ``md`` of the configuration.
    name
        One of its states.
    """
    lineage = md.lineage(name)
    stages = [stage for one in lineage for stage in md.states[one].stages]
    pressure: float | None = None
    temperature = 300.0
    peak, anneal = 0.0, 0.0
    from_melt = md.start == "classical" and md.quench_pressure(lineage[0]) > AMBIENT_GPa
    if from_melt:
        peak, anneal = md.quench_pressure(lineage[0]), md.classical.melt_K
    for stage in stages:
        heats = stage.temperature_K or (temperature, temperature)
        temperature = heats[1]
        presses = stage.pressure_GPa
        pressure = presses[1] if presses else None
        if presses and max(presses) > AMBIENT_GPa:
            peak = max(peak, *presses)
            anneal = max(anneal, *heats)
    kind = _kind(pressure, temperature, peak, anneal)
    return State(name, kind, pressure, temperature, peak, anneal, from_melt)


def _kind(pressure: float | None, temperature: float, peak: float, anneal: float) -> Kind:
    if temperature > ROOM_K:
        return "liquid"
    if peak <= AMBIENT_GPa:
        return "ambient"
    way = "hot" if anneal > ROOM_K else "cold"
    where = "recovered" if pressure is not None and pressure <= AMBIENT_GPa else "in situ"
    return f"{way} {where}"  # type: ignore[return-value]


def describe_all(md: MolecularDynamics) -> list[State]:
    """Classify all states: ambient first, then by kind and pressure, else as they are listed."""
    described = [describe(md, name) for name in md.states]
    return sorted(
        described,
        key=lambda state: (
            KINDS.index(state.kind),
            state.peak_pressure_GPa,
            state.anneal_temperature_K,
        ),
    )
