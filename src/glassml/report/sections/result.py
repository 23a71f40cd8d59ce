"""What was asked and what came out: the lines and figures at the top of the page."""

import pandas as pd

from glassml.campaign.names import KING
from glassml.report.curves import mark_peak, plot_band, plot_measured, state_rows, with_errors
from glassml.report.equal_density import at_equal_density
from glassml.report.evidence import DENSITY_TOLERANCE_g_cm3, Evidence, Value
from glassml.report.experiment import CITATION, XRAY, neutron_ambient, xray_ambient
from glassml.report.figures import COLOURS, Canvas, Figure, draw
from glassml.report.heating import heated
from glassml.report.measures_recovered import chosen_states
from glassml.report.page import Section, with_error
from glassml.report.pairs import height_difference, peak_of
from glassml.report.results import AbsentError, Results, add
from glassml.report.sections.rings import FEWEST, SHAPE
from glassml.report.states import State
from glassml.structure.binning import coarser

WORDS = {"neutron": "neutrons", "xray": "X-rays"}
HEIGHTS = {"S(Q1), neutron": "neutrons", "S(Q1), X-ray": "X-rays"}
MARKERS = ("o", "s", "^")
VAGUE_per_A = 0.2  # a peak whose position is less sure is not marked
ERRORS = "Bands and bars are one standard error over independent glasses."


def answers(results: Results, evidence: Evidence) -> list[tuple[str, str]]:
    """Give what was asked and what came out, a word and a line each, with numbers and errors."""
    lines = {"At rest": _rest, "Cold": _cold, "Hot": _hot, "Rings": _rings}
    given = [("Asked", _asked(results, evidence))]
    for word, make in lines.items():
        try:
            given.append((word, make(evidence)))
        except AbsentError as error:
            given.append((word, f"Not reached: {error}."))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            given.append((word, f"Not reached: a table cannot be read: {error!r}."))
    return given


def _asked(results: Results, evidence: Evidence) -> str:
    md = results.config.md
    pressed = [state for state in evidence.states if state.kind not in {"ambient", "liquid"}]
    question = (
        "Does the first sharp diffraction peak (FSDP), which cold compression weakens, grow by hot "
        "compression, and which rings carry it?"
        if pressed
        else "What is the structure of the glass at rest?"
    )
    glasses, states = md.glasses, len(evidence.states)
    of = "independent glass" if glasses == 1 else "independent glasses"
    by = (
        f"a potential from {results.config.dft.xc} labels"
        if md.potential == "trained"
        else f"the published potential {md.potential}"
    )
    return (
        f"{question} {glasses} {of} of {md.atoms} atoms in {states} "
        f"state{'s' if states > 1 else ''}, by {by}."
    )


def _text(value: Value, unit: str = "") -> str:
    return f"{with_error(value.mean, value.error)} {unit}".rstrip()


def _density(evidence: Evidence, state: State) -> str:
    return _text(evidence.scalar(state, "density_g_cm3"), "g/cm³")


def _fsdp(evidence: Evidence, state: State) -> str:
    try:
        height, place = (evidence.peak(state, name) for name in ("height", "position"))
    except AbsentError as error:
        return "no significant FSDP" if "has no Q1" in str(error) else "FSDP not analysed"
    return f"S(Q₁) {_text(height)} at {_text(place, 'Å⁻¹')}"


def _rest(evidence: Evidence) -> str:
    state = evidence.ambient()
    angle = _text(evidence.scalar(state, "angle_Si-O-Si_mean_deg"), "°")
    return (
        f"{_density(evidence, state)} (measured 2.20), Si-O-Si {angle} (149 by NMR), "
        f"{_fsdp(evidence, state)} (measured 1.55 at 1.51)."
    )


def _cold(evidence: Evidence) -> str:
    states = evidence.cold_states()
    if len(states) < 2:
        raise AbsentError("the campaign has no state at 300 K under pressure")
    last = states[-1]
    text = f"In situ at {last.pressure_GPa:g} GPa {_density(evidence, last)}, "
    text += _fsdp(evidence, last)
    middle = min(states[1:], key=lambda state: abs((state.pressure_GPa or 0.0) - 10.0))
    if middle is not last:
        text += f"; at {middle.pressure_GPa:g} GPa {_fsdp(evidence, middle)}"
    recovered = evidence.find("cold recovered")
    if recovered:
        state = recovered[-1]
        text += f"; back from {state.peak_pressure_GPa:g} GPa {_density(evidence, state)}"
    return f"{text}."


def _hot(evidence: Evidence) -> str:
    chosen = chosen_states(evidence)
    if "hot" not in chosen:
        raise AbsentError("the campaign has no hot state")
    hot = chosen["hot"]
    text = (
        f"{hot.label[0].upper()}{hot.label[1:]}: {_density(evidence, hot)}, {_fsdp(evidence, hot)}"
    )
    lines = [f"{text}.", _heated(evidence), _hot_minus_rest(evidence, hot, chosen["rest"])]
    if "cold" in chosen:
        cold = chosen["cold"]
        lines[0] = f"{text}; {cold.label}: {_density(evidence, cold)}, {_fsdp(evidence, cold)}."
        lines += _against_cold(evidence, hot, cold)
    return " ".join(line for line in lines if line)


def _heated(evidence: Evidence) -> str:
    """Say what heat does to the height of the FSDP under pressure, in situ."""
    try:
        changes = heated(evidence)
    except AbsentError:
        return ""
    changes = changes[(changes["where"] == "in situ") & changes.quantity.isin(HEIGHTS)]
    parts = []
    for name, group in changes.groupby("state", sort=False):
        state = evidence.state(str(name))
        columns = (group.quantity, group.change, group.change_error)
        heights = (
            f"{with_error(change, error)} ({HEIGHTS[quantity]})"
            for quantity, change, error in zip(*columns, strict=True)
        )
        parts.append(f"{state.heat} {', '.join(heights)}")
    if not parts:
        return ""
    against = changes.against.iloc[0]
    return f"What heat changes of S(Q₁) under pressure, against {against}: {'; '.join(parts)}."


def _hot_minus_rest(evidence: Evidence, hot: State, rest: State) -> str:
    try:
        heights, way = _higher_by(evidence, hot, rest)
    except AbsentError:
        return ""
    return f"Hot minus rest, {way}: {heights}."


def _against_cold(evidence: Evidence, hot: State, cold: State) -> list[str]:
    dense = [evidence.scalar(state, "density_g_cm3").mean for state in (hot, cold)]
    if abs(dense[0] - dense[1]) <= DENSITY_TOLERANCE_g_cm3:
        return [_hot_minus_cold(evidence, hot, cold)]
    return [_unequally_dense(evidence, hot, cold, dense[0] - dense[1]), _interpolated(evidence)]


def _higher_by(evidence: Evidence, one: State, other: State) -> tuple[str, str]:
    """Say by how much the FSDP of `one` is higher, by neutrons and X-rays, and how that was found.

    Raises
    ------
    AbsentError
        If a state has no peak.
    """
    found = {}
    for weighting, word in WORDS.items():
        found[word], way = height_difference(evidence, one, other, weighting)
    return ", ".join(f"{_text(change)} ({word})" for word, change in found.items()), way


def _unequally_dense(evidence: Evidence, hot: State, cold: State, denser: float) -> str:
    """Compare heights of the FSDP all the same: what is denser has a lower one."""
    text = f"Hot minus cold: {denser:+.3f} g/cm³".replace("-", "−")
    try:
        heights, way = _higher_by(evidence, hot, cold)
    except AbsentError:
        return f"{text}: their FSDPs are not to be compared."
    text += f", and S(Q₁), {way}, {heights}"
    alone = "compression alone lowers it" if denser > 0 else "the cold one is lower for that alone"
    return f"{text}; {alone}."


def _interpolated(evidence: Evidence) -> str:
    """Compare at equal density along the cold series: a recovered hot state, or one in situ."""
    for hot in reversed(evidence.find("hot in situ") + evidence.find("hot recovered")):
        try:
            found = {
                word: at_equal_density(evidence, hot, peak_of(weighting, "height"))
                for weighting, word in WORDS.items()
            }
        except AbsentError:
            continue
        first = next(iter(found.values()))
        heights = ", ".join(f"{_text(each.difference)} ({word})" for word, each in found.items())
        return (
            f"At equal density, {hot.label} ({first.density:.3f} g/cm³) minus cold (between "
            f"{' and '.join(first.between)}): {heights}."
        )
    return ""


def _hot_minus_cold(evidence: Evidence, hot: State, cold: State) -> str:
    try:
        change, way = height_difference(evidence, hot, cold)
    except AbsentError as error:
        return f"Their peaks cannot be compared: {error}."
    if not change.error:
        return ""
    sigmas = f"{change.mean / change.error:.1f}".replace("-", "−")
    return f"Hot minus cold, {way}: {_text(change)}, {sigmas} standard errors."


def _rings(evidence: Evidence) -> str:
    chosen = chosen_states(evidence)
    slopes = [f"{word} {_text(evidence.ring_slope(state, KING))}" for word, state in chosen.items()]
    aspects = [
        f"{word} {_text(evidence.ring_shape(state, KING, 6, 'aspect_ratio'))}"
        for word, state in chosen.items()
    ]
    return (
        f"The short side l₂ of King rings grows with their size by (Å per Si) {', '.join(slopes)}; "
        f"l₂/l₃ of rings of six: {', '.join(aspects)}."
    )


def result_section(results: Results, evidence: Evidence) -> Section:
    """Draw the two figures that answer: the FSDP, and rings against their size."""
    section = Section("result", "The result in two figures")
    add(section, results, "FSDP at rest, cold and hot", lambda: _figure_fsdp(evidence))
    add(section, results, "Rings at rest, cold and hot", lambda: _figure_rings(evidence))
    return section


def _figure_fsdp(evidence: Evidence) -> Figure:
    chosen = chosen_states(evidence)
    width = evidence.results.config.report.sq_bin_per_A
    frames = []
    for column in ("neutron", "xray"):
        columns = ["q_per_A", "counts", *with_errors(column)]
        rows = coarser(
            state_rows(evidence, "sq", list(chosen.values()), columns), column, width
        ).rename(columns={column: "S", f"{column}_error": "S_error"})
        frames.append(rows.assign(weighting=column))
    for column, measured in (("neutron", neutron_ambient()), ("xray", xray_ambient())):
        frames.append(measured.assign(state="experiment", weighting=column))
    table = pd.concat(frames, ignore_index=True)
    table = table[(table.q_per_A > 0.4) & (table.q_per_A < 3.5)].reset_index(drop=True)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(1, 2, sharex=True)
        for axis, column in zip(axes, ("neutron", "xray"), strict=True):
            part = table[table.weighting == column]
            for (word, state), colour in zip(chosen.items(), COLOURS, strict=False):
                own = part[part.state == state.name]
                label = f"{word}: {state.label}"
                plot_band(axis, own, "q_per_A", "S", colour, label=label)
                mark_peak(axis, evidence, state, column, colour, VAGUE_per_A)
            own = part[part.state == "experiment"]
            plot_measured(axis, own.q_per_A, own.S, own.S_error, label="experiment, at rest")
            axis.set(xlabel=r"$Q$, Å$^{-1}$", xlim=(0.4, 3.5))
        axes[0].set_ylabel(r"$S(Q)$ neutron")
        axes[1].set_ylabel(r"$S(Q)$ X-ray")
        handles, labels = axes[0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside lower center", ncols=2)

    caption = (
        "First sharp diffraction peak by neutrons (left) and X-rays (right), Faber-Ziman, no "
        f"window, bins of {width:g} Å⁻¹. Squares: fitted position and height, where the position "
        f"is sure to {VAGUE_per_A:g} Å⁻¹. {_chosen(chosen)} "
        f"Circles: {CITATION}. {XRAY} {ERRORS}"
    )
    title = "FSDP at rest, cold and hot"
    return draw("result_fsdp", title, caption, table, paint, size=(8.4, 4.2))


def _chosen(chosen: dict[str, State]) -> str:
    if {"cold", "hot"} <= set(chosen):
        return "Cold and hot are the densest recovered pair of equal density, if there is one."
    return "States of the other kinds were not run."


def _figure_rings(evidence: Evidence) -> Figure:
    chosen = chosen_states(evidence)
    names = ("aspect_ratio_mean", "l2_A_mean")
    frames = []
    for state in chosen.values():
        rows = evidence.summary("ring_shape", state, criterion=KING, atoms="Si+O")
        shares = evidence.rings(state, KING).set_index("size").fraction
        rows = rows[rows["size"].map(shares).fillna(0.0) >= FEWEST]
        frames.append(rows[["state", "size", *with_errors(*names)]])
    table = pd.concat(frames, ignore_index=True)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(1, 2, sharex=True)
        labels = (r"aspect ratio $l_2/l_3$", r"short side $l_2$, Å")
        for axis, name, label in zip(axes, names, labels, strict=True):
            for index, (word, state) in enumerate(chosen.items()):
                own = table[table.state == state.name]
                error = own[f"{name}_error"]
                axis.errorbar(
                    own["size"] + 0.06 * (index - 1),
                    own[name],
                    yerr=error if error.notna().any() else None,
                    fmt=f"{MARKERS[index]}-",
                    ms=4.5,
                    capsize=2,
                    color=COLOURS[index],
                    label=f"{word}: {state.label}",
                )
            axis.set(xlabel=r"ring size $n$, Si atoms", ylabel=label)
            axis.set_xticks(range(int(table["size"].min()), int(table["size"].max()) + 1))
        handles, texts = axes[0].get_legend_handles_labels()
        canvas.legend(handles, texts, loc="outside lower center", ncols=3)

    caption = (
        f"King rings by size: aspect ratio (left) and short side (right). {SHAPE} Sizes with less "
        f"than {100 * FEWEST:g} % of the rings are left out. {ERRORS}"
    )
    title = "Rings at rest, cold and hot"
    return draw("result_rings", title, caption, table, paint, size=(8.4, 3.9))
