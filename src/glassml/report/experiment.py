"""Measured structure factors that the campaign is held against."""

from importlib.resources import files
from io import StringIO

import pandas as pd

CITATION = (
    "total neutron scattering of silica glass at ambient conditions, ISIS NIMROD, published with "
    "the silica example of the Dissolve code; rounded, with S(Q) = 1 + F(Q)/⟨b⟩²"
)
XRAY = (
    "X-ray circles: silica glass, reduced for this page from a raw pattern that is published with "
    "the tests of the Glassure code, as no reduced table is public; the source does not say under "
    "which conditions, the peak's place says at rest; the position is sure, heights "
    "only within the bars (background ± 2 %, Compton scattering ± 10 %)."
)


def neutron_ambient() -> pd.DataFrame:
    """Give the measured neutron S(Q) of silica glass: columns ``q_per_A`` and ``S``."""
    return _read("experiment_neutron_ambient.csv", ["q_per_A", "S"])


def xray_ambient() -> pd.DataFrame:
    """Give the measured X-ray S(Q) of silica glass: ``q_per_A``, ``S`` and its bar ``S_error``.

    Defined as the simulated one is: Faber-Ziman, normalised by ⟨f⟩² of neutral atoms.
    docs/report.md says how it was reduced.
    """
    return _read("experiment_xray_ambient.csv", ["q_per_A", "S", "S_error"])


def _read(name: str, columns: list[str]) -> pd.DataFrame:
    path = files("glassml.report") / "data" / name
    table = pd.read_csv(StringIO(path.read_text(encoding="utf-8")))
    table.columns = pd.Index(columns)
    return table
