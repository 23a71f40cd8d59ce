"""Measured structure factors that the campaign is held against."""

from importlib.resources import files
from io import StringIO

import pandas as pd

CITATION = (
    "total neutron scattering of silica glass at ambient conditions, ISIS NIMROD, published with "
    "the silica example of the Dissolve code; rounded, with S(Q) = 1 + F(Q)/⟨b⟩²"
)
XRAY = (
    "Of X-ray diffraction no table could be found that is public: Mei et al., Phys. Rev. B 78 "
    "(2008), show theirs as figures."
)


def neutron_ambient() -> pd.DataFrame:
    """Give the measured neutron S(Q) of silica glass: columns ``q_per_A`` and ``S``."""
    path = files("glassml.report") / "data" / "experiment_neutron_ambient.csv"
    table = pd.read_csv(StringIO(path.read_text(encoding="utf-8")))
    table.columns = pd.Index(["q_per_A", "S"])
    return table
