"""Where glasses of several rates lead if their energy went on to that of a furnace's glass.

    python benchmarks/structure/furnace.py docs/results/md_rates/rest.csv \
        --rates resources/rates_shik/rates.csv

`rest.csv` has glasses that a potential brought to rest (`relaxed_glasses.py`) and the rates of
their quenches, `rates.csv` the means of a study of rates. A line is fitted to each observable
against the energy above quartz, which falls by less and less a decade where the logarithm of the
rate would not tell when to stop. Errors are those of the line at the measured energy, from the
scatter about it, and what the energy's own error makes of its slope.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

#: Of melted quartz above quartz, meV/atom: 9.4 ± 1.0 kJ/mol of SiO2 at 1700 K (Richet et al.,
#: Geochim. Cosmochim. Acta 46, 2639 (1982), abstract).
MEASURED_meV, MEASURED_ERROR_meV = 32.0, 3.0
OF_RATES = ("S_Q1", "Q1_per_A", "angle_Si-O-Si_mean_deg", "angle_Si-O-Si_sd_deg", "density_g_cm3")


def at_energy(energies_meV, values):
    """Fit a line; give its slope, and its value and error at the measured energy."""
    x = np.asarray(energies_meV) - MEASURED_meV
    (slope, value), covariance = np.polyfit(x, values, 1, cov=True)
    error = np.hypot(np.sqrt(covariance[1, 1]), slope * MEASURED_ERROR_meV)
    residual = np.polyval((slope, value), x) - values
    return slope, value, error, np.abs(residual).max()


def main():
    """Print a line for each observable."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("rest", type=Path, help="glasses at rest, with their rates")
    parser.add_argument("--rates", type=Path, help="means of a study of rates")
    args = parser.parse_args()
    rest = pd.read_csv(args.rest)
    found = {f"at rest, {name}": (rest.energy_meV_atom, rest[name]) for name in rest.columns[2:]}
    if args.rates:
        energies = rest.groupby("rate_K_per_ps").energy_meV_atom.mean()
        table = pd.read_csv(args.rates).set_index("rate_K_per_ps")
        for name in OF_RATES:
            means = table[table.observable == name]["mean"].reindex(energies.index)
            found[f"at 300 K, {name}"] = (energies, means)
    for name, (energies, values) in found.items():
        slope, value, error, off = at_energy(energies, values)
        print(
            f"{name}: {10 * slope:+.4g} for 10 meV/atom, {value:.4g} ± {error:.2g} at "
            f"{MEASURED_meV:g} ± {MEASURED_ERROR_meV:g}; no glass is off by more than {off:.2g}"
        )


if __name__ == "__main__":
    main()
