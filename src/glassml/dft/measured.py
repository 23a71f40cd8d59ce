"""What was measured of the polymorphs, to hold equations of state against."""

from dataclasses import dataclass

from ase.units import kJ, mol

_KJ_MOL = kJ / mol


@dataclass(frozen=True)
class Measured:
    """Bulk modulus (GPa) and enthalpy above alpha-quartz (eV per SiO2) at 298 K; None: unknown."""

    bulk_modulus: float | None
    enthalpy: float | None
    source: str


# Volumes are those of `glassml.configurations.crystals.POLYMORPHS`.
MEASURED = {
    "alpha_quartz": Measured(37.1, 0.0, "Angel et al., J. Appl. Cryst. 30, 461 (1997)"),
    "alpha_cristobalite": Measured(
        11.5,
        2.84 * _KJ_MOL,
        "Downs and Palmer, Am. Mineral. 79, 9 (1994); Piccione et al., J. Phys. Chem. B 104, 10001 "
        "(2000)",
    ),
    # The ideal crystal, with straight bridges, is none that exists.
    "beta_cristobalite": Measured(None, None, "its volume: the mean of a disordered crystal"),
    "coesite": Measured(
        96.0,
        3.40 * _KJ_MOL,
        "Levien and Prewitt, Am. Mineral. 66, 324 (1981); Akaogi et al., J. Geophys. Res. 100, "
        "22337 (1995)",
    ),
    # Other calorimetry gives 49.3 + 3.4 kJ/mol: Akaogi and Navrotsky, Phys. Earth Planet. Inter.
    # 36, 124 (1984).
    "stishovite": Measured(
        302.0,
        (3.40 + 33.62) * _KJ_MOL,
        "between 291 and 313 GPa in the literature; Akaogi et al., J. Geophys. Res. 100, 22337 "
        "(1995)",
    ),
}
