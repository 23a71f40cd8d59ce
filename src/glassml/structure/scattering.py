"""From partial structure factors to what is measured: neutron, X-ray, Bhatia-Thornton."""

from functools import lru_cache

import numpy as np

# Coherent scattering lengths in fm: V. F. Sears, Neutron News 3 (3), 26 (1992).
B_SI_FM = 4.1491
B_O_FM = 5.803
WEIGHTINGS = ("neutron", "xray")


@lru_cache(maxsize=1)
def _xray_database():  # noqa: ANN202 - xraydb is untyped
    import xraydb  # noqa: PLC0415 - opens a database

    return xraydb


def form_factors(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """X-ray form factors of neutral Si and O in electrons, from xraydb.

    Waasmaier & Kirfel, Acta Cryst. A 51, 416 (1995), in s = Q/4π.

    Parameters
    ----------
    q : (n,)
        Momentum transfer Q in Å⁻¹.
    """
    database = _xray_database()
    s = np.asarray(q, float) / (4 * np.pi)
    return np.asarray(database.f0("Si", s)), np.asarray(database.f0("O", s))


def weights(q: np.ndarray, weighting: str) -> tuple[np.ndarray, np.ndarray]:
    """Scattering amplitudes w_Si(Q), w_O(Q): scattering lengths in fm, or form factors."""
    if weighting == "neutron":
        return np.full(np.shape(q), B_SI_FM), np.full(np.shape(q), B_O_FM)
    if weighting == "xray":
        return form_factors(q)
    raise ValueError(f"weighting {weighting!r} is not one of {WEIGHTINGS}")


def total_structure_factor(
    q: np.ndarray, partials: dict[str, np.ndarray], c_si: float, weighting: str
) -> np.ndarray:
    """Total Faber-Ziman S(Q) = 1 + ΣΣ c_a c_b w_a w_b (S_ab - 1) / (Σ c_a w_a)².

    Parameters
    ----------
    q : (n,)
        Q in Å⁻¹.
    partials
        Faber-Ziman partials "Si-Si", "Si-O", "O-O", each (n,).
    c_si
        Share of atoms that are Si.
    weighting
        "neutron" or "xray".
    """
    w_si, w_o = weights(q, weighting)
    x_si, x_o = c_si * w_si, (1 - c_si) * w_o
    mixed = (
        x_si**2 * (partials["Si-Si"] - 1)
        + 2 * x_si * x_o * (partials["Si-O"] - 1)
        + x_o**2 * (partials["O-O"] - 1)
    )
    return 1 + mixed / (x_si + x_o) ** 2


def total_standard_error(
    q: np.ndarray, total: np.ndarray, counts: np.ndarray, c_si: float, weighting: str
) -> np.ndarray:
    """Give the standard error of a total S(Q) that is a mean over `counts` Q vectors of a frame.

    Each amplitude of a disordered system is a complex Gaussian number, its square scatters by as
    much as its mean: σ = I / √counts with I = S - 1 + <w²>/<w>² (counts without -Q, which repeats
    Q). Not for crystals.
    """
    w_si, w_o = weights(q, weighting)
    mean = c_si * w_si + (1 - c_si) * w_o
    mean_square = c_si * w_si**2 + (1 - c_si) * w_o**2
    intensity = np.maximum(total - 1 + mean_square / mean**2, 0.0)
    with np.errstate(divide="ignore"):
        return np.where(counts > 0, intensity / np.sqrt(np.maximum(counts, 1)), np.nan)


def bhatia_thornton(partials: dict[str, np.ndarray], c_si: float) -> dict[str, np.ndarray]:
    """Bhatia-Thornton S_NN, S_NC, S_CC of Faber-Ziman partials.

    Bhatia & Thornton, Phys. Rev. B 2, 3004 (1970); at large Q they go to 1, 0 and c_Si c_O.
    """
    c_o = 1 - c_si
    ss, so, oo = partials["Si-Si"], partials["Si-O"], partials["O-O"]
    return {
        "NN": c_si**2 * ss + c_o**2 * oo + 2 * c_si * c_o * so,
        "NC": c_si * c_o * (c_si * (ss - so) - c_o * (oo - so)),
        "CC": c_si * c_o * (1 + c_si * c_o * (ss + oo - 2 * so)),
    }


def ashcroft_langreth(partials: dict[str, np.ndarray], c_si: float) -> dict[str, np.ndarray]:
    """Ashcroft-Langreth partials of Faber-Ziman ones: δ_ab + √(c_a c_b) (S_ab - 1)."""
    c_o = 1 - c_si
    return {
        "Si-Si": 1 + c_si * (partials["Si-Si"] - 1),
        "Si-O": np.sqrt(c_si * c_o) * (partials["Si-O"] - 1),
        "O-O": 1 + c_o * (partials["O-O"] - 1),
    }
