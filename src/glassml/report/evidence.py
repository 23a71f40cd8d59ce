"""What a campaign has measured, by state of the glass: means with standard errors over glasses."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from glassml.report.results import AbsentError, Results
from glassml.report.states import Kind, State, describe_all

PRESSURE_TOLERANCE_GPa = 0.6
DENSITY_TOLERANCE_g_cm3 = 0.05
SUMMARY = "structure/summary"


@dataclass(frozen=True)
class Value:
    """A number with its standard error over independent glasses, None where there is one glass."""

    mean: float
    error: float | None = None
    remark: str = ""

    def sigma(self) -> float:
        """Give the standard error.

        Raises
        ------
        AbsentError
            If it is not known.
        """
        if self.error is None:
            raise AbsentError("a comparison by σ needs at least two independent glasses")
        return self.error


class Evidence:
    """Measured values, looked up by state.

    Parameters
    ----------
    results
        The files of a campaign.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self.states = describe_all(results.config.md)

    def find(self, *kinds: Kind) -> list[State]:
        """Give the states of these kinds, by pressure."""
        return [state for state in self.states if state.kind in kinds]

    def ambient(self) -> State:
        """Give the state at 300 K and no pressure that was never compressed.

        Of several it is the one that is listed first in the configuration.

        Raises
        ------
        AbsentError
            If the campaign has none.
        """
        states = self.find("ambient")
        if not states:
            raise AbsentError("the campaign has no state at 300 K and 0 GPa")
        return states[0]

    def origin(self, state: State) -> State:
        """Give the ambient state from which a state descends: what its changes are measured from.

        A state that was compressed before it had come to 300 K has none; `ambient` stands for it.

        Raises
        ------
        AbsentError
            If the campaign has no ambient state.
        """
        ancestors = self.results.config.md.lineage(state.name)
        own = [one for one in self.find("ambient") if one.name in ancestors]
        return max(own, key=lambda one: ancestors.index(one.name)) if own else self.ambient()

    def in_situ(self, low_GPa: float, high_GPa: float) -> State:
        """Give a cold state under a pressure from `low_GPa` to `high_GPa`, both included.

        Raises
        ------
        AbsentError
            If the campaign has none.
        """
        for state in self.find("cold in situ"):
            if state.pressure_GPa is not None and (
                low_GPa - PRESSURE_TOLERANCE_GPa
                <= state.pressure_GPa
                <= high_GPa + PRESSURE_TOLERANCE_GPa
            ):
                return state
        span = f"{low_GPa:g}" if low_GPa == high_GPa else f"{low_GPa:g}-{high_GPa:g}"
        raise AbsentError(f"the campaign has no state at 300 K under {span} GPa")

    def cold_path(self, up_to_GPa: float) -> list[State]:
        """Give an ambient state and its cold states in situ up to a pressure, by pressure.

        Raises
        ------
        AbsentError
            If the campaign does not reach that pressure.
        """
        start = self.origin(self.in_situ(up_to_GPa, up_to_GPa))
        return [
            state
            for state in self._cold_line(start)
            if (state.pressure_GPa or 0.0) <= up_to_GPa + PRESSURE_TOLERANCE_GPa
        ]

    def cold_states(self) -> list[State]:
        """Give an ambient state and all its cold states in situ, by pressure.

        Of several ambient states it is the first that has any.

        Raises
        ------
        AbsentError
            If the campaign has no ambient state.
        """
        starts = {self.origin(state) for state in self.find("cold in situ")}
        return self._cold_line(min(starts, key=self.states.index, default=self.ambient()))

    def _cold_line(self, start: State) -> list[State]:
        """Give an ambient state and the cold states in situ that descend from it, by pressure."""
        states = [state for state in self.find("cold in situ") if self.origin(state) == start]
        return [start, *sorted(states, key=lambda state: state.pressure_GPa or 0.0)]

    def recovered(self, way: str, peak_GPa: float) -> list[State]:
        """Give recovered states of a way (hot, cold) from a pressure, by anneal temperature.

        Raises
        ------
        AbsentError
            If the campaign has none.
        """
        states = [
            state
            for state in self.states
            if state.kind == f"{way} recovered"
            and abs(state.peak_pressure_GPa - peak_GPa) <= PRESSURE_TOLERANCE_GPa
        ]
        if not states:
            raise AbsentError(f"the campaign has no {way} state recovered from {peak_GPa:g} GPa")
        return states

    def summary(self, name: str, state: State | None = None, **where: object) -> pd.DataFrame:
        """Give the rows of a summary table of a state that have these values.

        Raises
        ------
        AbsentError
            If there are none.
        """
        table = self.results.table(f"{SUMMARY}/{name}.csv")
        chosen = np.ones(len(table), dtype=bool)
        if state is not None:
            chosen &= (table["state"] == state.name).to_numpy()
        for column, value in where.items():
            chosen &= (table[column] == value).to_numpy()
        if not chosen.any():
            what = ", ".join(str(value) for value in where.values())
            of = f" of {state.name}" if state is not None else ""
            raise AbsentError(f"{name}.csv has nothing{of}{': ' + what if what else ''}")
        return table[chosen]

    def scalar(self, state: State, observable: str) -> Value:
        """Give an observable of the network, with its standard error over glasses.

        Raises
        ------
        AbsentError
            If the state was not analysed; a coordination number that does not occur is zero.
        """
        rows = self.summary("states", state)
        if not int(rows.glasses.iloc[0]):
            raise AbsentError(f"{state.name} was set aside: {rows.reasons.iloc[0]}")
        row = rows[rows.observable == observable]
        if row.empty:
            if observable.startswith("coordination_") and not observable.endswith("mean"):
                return Value(0.0)
            raise AbsentError(f"{state.name} has no {observable}")
        return _value(row.iloc[0]["mean"], row.iloc[0]["error"])

    def state(self, name: str) -> State:
        """Give the state of a name."""
        return next(state for state in self.states if state.name == name)

    def analysed(self, state: State) -> bool:
        """Tell whether the structure of a state is known."""
        try:
            self.scalar(state, "density_g_cm3")
        except AbsentError:
            return False
        return True

    def peak(
        self, state: State, quantity: str, peak: str = "Q1", weighting: str = "neutron"
    ) -> Value:
        """Give position, height or fwhm of a peak of S(Q), with its error over glasses.

        Raises
        ------
        AbsentError
            If the state has no such peak, with the reason of the fit.
        """
        row = self.summary("fsdp", state, peak=peak, weighting=weighting).iloc[0]
        if pd.isna(row[quantity]):
            reason = row["reason"] if isinstance(row["reason"], str) else f"no {quantity}"
            raise AbsentError(f"{state.name} has no {peak}: {reason}")
        value = _value(row[quantity], row[f"{quantity}_error"])
        if int(row["glasses"]) > 1 or value.error is None:
            return value
        # The fit of one glass knows its noise, and nothing of how glasses differ.
        return Value(value.mean, None, f"± {value.error:.2g} by the fit to a single glass")

    def curve(
        self, table: str, state: State, column: str
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give a curve of a state: abscissa, mean, standard error (NaN where unknown).

        Raises
        ------
        AbsentError
            If it is not there.
        """
        rows = self.summary(table, state)
        abscissa = {"gr": "r_A", "sq": "q_per_A", "kono_z": "z_A"}[table]
        columns = (rows[abscissa], rows[column], rows[f"{column}_error"])
        x, y, error = (pd.to_numeric(values).to_numpy(float) for values in columns)
        return x, y, error

    def share_below(self, table: str, state: State, limit: float) -> float:
        """Integrate a distribution up to a limit, as a share of the whole.

        Raises
        ------
        AbsentError
            If it is not there.
        """
        x, density, _ = self.curve(table, state, "density_per_A")
        return float(np.nansum(density[x < limit]) / np.nansum(density))

    def rings(self, state: State, criterion: str) -> pd.DataFrame:
        """Give ring sizes with their shares of all rings of a criterion.

        Raises
        ------
        AbsentError
            If there are no such rings.
        """
        try:
            return self.summary("rings", state, criterion=criterion)
        except AbsentError:
            raise AbsentError(f"{state.name} has no {criterion} rings") from None

    def ring_shape(self, state: State, criterion: str, size: int, quantity: str) -> Value:
        """Give a length or ratio of the rings of a size, by Si and O atoms.

        Raises
        ------
        AbsentError
            If there are no such rings.
        """
        name = f"{quantity}_mean"
        rows = self.rings(state, criterion)
        shapes = self.summary("ring_shape", state, criterion=criterion, atoms="Si+O")
        shapes = shapes[(shapes["size"] == size) & shapes[name].notna()]
        if shapes.empty or not (rows["size"] == size).any():
            raise AbsentError(f"{state.name} has no {criterion} rings of size {size}")
        return _value(shapes[name].iloc[0], shapes[f"{name}_error"].iloc[0])

    def ring_slope(self, state: State, criterion: str) -> Value:
        """Give d l2/dn of the rings of a criterion over n = 5 to 8, by Si and O atoms.

        Raises
        ------
        AbsentError
            If there are too few rings.
        """
        self.rings(state, criterion)
        row = self.summary("ring_slope", state, criterion=criterion, atoms="Si+O").iloc[0]
        if pd.isna(row["slope_A"]):
            raise AbsentError(f"{state.name} has too few {criterion} rings for a slope")
        return _value(row["slope_A"], row["slope_A_error"])

    def model_errors(self) -> pd.DataFrame:
        """Give the errors of all members of the last generation.

        Raises
        ------
        AbsentError
            If they are not there.
        """
        return self.results.of_members("errors.csv")

    def gate_results(self, gate: str) -> list[dict[str, Any]]:
        """Give the numbers of one of the potential's gates, those that have a value.

        Raises
        ------
        AbsentError
            If the gates were not run.
        """
        numbers = self.results.json(f"{self.results.last('potential')}/gates.json")["results"]
        return [row for row in numbers if row["gate"] == gate and row["value"] is not None]

    def polymorph(self, name: str) -> pd.Series:
        """Give a relaxed crystal by DFT: a row of ``dft/polymorphs.csv``.

        Raises
        ------
        AbsentError
            If the campaign has not relaxed it.
        """
        rows = self.results.table("dft/polymorphs.csv")
        chosen = rows[rows.polymorph == name]
        if chosen.empty:
            raise AbsentError(f"the campaign has not relaxed {name}")
        return chosen.iloc[0]

    def crystal_at_rest(self, polymorph: str) -> pd.Series:
        """Give a crystal at rest by the labels that the potential's gate of equations was given.

        Returns
        -------
        Series
            The row of ``gates/equations.csv`` with the lowest label.

        Raises
        ------
        AbsentError
            If there is no such gate, or it has no labels of the polymorph.
        """
        rows = self.results.table(f"{self.results.last('potential')}/gates/equations.csv")
        rows = rows[rows.polymorph == polymorph]
        if rows.empty:
            raise AbsentError(f"gates/equations.csv has no {polymorph}")
        return rows.sort_values("label_eV").iloc[0]

    def lowest_energy(self, polymorph: str) -> float:
        """Give the lowest energy in eV/atom of the labels that derive from a polymorph.

        Raises
        ------
        AbsentError
            If the data set has none.
        """
        rows = self.results.table(f"{self.results.last('dataset')}/flags.csv")
        chosen = rows[rows.parent.astype(str).str.contains(polymorph, regex=False)]
        energies = chosen.energy_eV_per_atom.dropna()
        if energies.empty:
            raise AbsentError(f"the data set has no label of {polymorph}")
        return float(energies.min())


def disordered_errors(errors: pd.DataFrame) -> pd.DataFrame:
    """Choose errors on held-out glasses and liquids, of whatever pressure, by their type.

    Raises
    ------
    AbsentError
        If the test set has none.
    """
    rows = errors[(errors["set"] == "test") & (errors.group == "config_type")]
    chosen = rows[rows.name.str.contains("liquid|glass|melt|quench|compress", regex=True)]
    if chosen.empty:
        raise AbsentError("the test set has no glass and no liquid")
    return chosen


def _value(mean: float, error: float) -> Value:
    """Make a value of two fields of a table, of which the error may be empty."""
    return Value(float(mean), None if pd.isna(error) else float(error))
