"""From partial structure factors to what is measured: neutron, X-ray, Bhatia-Thornton."""

import csv
import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np

from glassml.campaign.errors import StructureError
from glassml.structure.species import pairs_of

WEIGHTINGS = ("neutron", "xray")
# Below it a total is the difference of large numbers: light water has 0.02, silica 0.98.
WEAK_CONTRAST = 0.1
LOG = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def _xray_database():  # noqa: ANN202 - xraydb is untyped
    import xraydb  # noqa: PLC0415 - opens a database

    return xraydb


@lru_cache(maxsize=1)
def _scattering_lengths() -> dict[str, float]:
    table = files("glassml.structure") / "data" / "scattering_lengths.csv"
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return {row["element"]: float(row["b_fm"]) for row in rows}


def scattering_length(element: str) -> float:
    """Give the coherent scattering length of an element in fm, natural isotopes.

    Sears, Neutron News 3 (3), 26 (1992). Cd, Sm, Eu, Gd and Dy, whose lengths change with the
    neutron's energy, are left out.

    Raises
    ------
    StructureError
        If the element has none there.
    """
    try:
        return _scattering_lengths()[element]
    except KeyError:
        raise StructureError(
            f"{element}: there is no neutron scattering length of it; X-ray and partial structure "
            "factors do not need one"
        ) from None


def form_factor(q: np.ndarray, element: str) -> np.ndarray:
    """X-ray form factor of a neutral atom in electrons, from xraydb.

    Waasmaier & Kirfel, Acta Cryst. A 51, 416 (1995), in s = Q/4π.

    Parameters
    ----------
    q : (n,)
        Momentum transfer Q in Å⁻¹.

    Raises
    ------
    StructureError
        If the element has none there.
    """
    s = np.asarray(q, float) / (4 * np.pi)
    try:
        return np.asarray(_xray_database().f0(element, s))
    except ValueError as error:
        raise StructureError(f"{element}: there is no X-ray form factor of it: {error}") from None


def weights(q: np.ndarray, elements: Sequence[str], weighting: str) -> list[np.ndarray]:
    """Scattering amplitudes w_a(Q) of each element: scattering lengths in fm, or form factors."""
    if weighting == "neutron":
        return [np.full(np.shape(q), scattering_length(element)) for element in elements]
    if weighting == "xray":
        return [form_factor(q, element) for element in elements]
    raise ValueError(f"weighting {weighting!r} is not one of {WEIGHTINGS}")


def weighted(
    partials: Mapping[str, np.ndarray],
    shares: Mapping[str, float],
    weight: Sequence[np.ndarray | float],
) -> np.ndarray:
    """Weigh partials: ΣΣ c_a c_b w_a w_b X_ab / (Σ c_a w_a)².

    Parameters
    ----------
    partials
        Each (n,), by pair of elements as `pairs_of` names and orders them.
    shares
        Share of atoms of each element.
    weight
        Scattering amplitude of each element, (n,) or a number.
    """
    amplitudes = [share * w for share, w in zip(shares.values(), weight, strict=True)]
    mixed: np.ndarray | float = 0.0
    for pair, (a, b) in pairs_of(list(shares)).items():
        product = amplitudes[a] ** 2 if a == b else 2 * amplitudes[a] * amplitudes[b]
        mixed = mixed + product * partials[pair]
    mean = sum(amplitudes[1:], start=amplitudes[0])
    return np.asarray(mixed / mean**2)


def total_structure_factor(
    q: np.ndarray,
    partials: Mapping[str, np.ndarray],
    shares: Mapping[str, float],
    weighting: str,
) -> np.ndarray:
    """Total Faber-Ziman S(Q) = 1 + ΣΣ c_a c_b w_a w_b (S_ab - 1) / (Σ c_a w_a)².

    Parameters
    ----------
    q : (n,)
        Q in Å⁻¹.
    partials
        Faber-Ziman partials, each (n,), by pair of elements as `pairs_of` names them.
    shares
        Share of atoms of each element.
    weighting
        "neutron" or "xray".
    """
    weight = weights(q, list(shares), weighting)
    _warn_of_weak_contrast(shares, weight, weighting)
    return 1 + weighted({pair: s - 1 for pair, s in partials.items()}, shares, weight)


def _warn_of_weak_contrast(
    shares: Mapping[str, float], weight: Sequence[np.ndarray], weighting: str
) -> None:
    """Say where positive and negative lengths cancel, so that <w>² is a bad unit of S(Q)."""
    mean, square = _moments(shares, weight)
    contrast = float(np.min(mean**2 / square)) if len(mean) else 1.0
    if contrast < WEAK_CONTRAST:
        LOG.warning(
            "%s: <w>² is %.3f of <w²>: the scattering lengths of %s cancel, and the Faber-Ziman "
            "total, divided by <w>², is large and uncertain",
            weighting,
            contrast,
            ", ".join(shares),
        )


def _moments(
    shares: Mapping[str, float], weight: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """<w> and <w²> over atoms."""
    means = [c * w for c, w in zip(shares.values(), weight, strict=True)]
    squares = [c * w**2 for c, w in zip(shares.values(), weight, strict=True)]
    return sum(means[1:], start=means[0]), sum(squares[1:], start=squares[0])


def total_standard_error(
    q: np.ndarray,
    total: np.ndarray,
    counts: np.ndarray,
    shares: Mapping[str, float],
    weighting: str,
) -> np.ndarray:
    """Give the standard error of a total S(Q) that is a mean over `counts` Q vectors of a frame.

    Each amplitude of a disordered system is a complex Gaussian number, its square scatters by as
    much as its mean: σ = I / √counts with I = S - 1 + <w²>/<w>² (counts without -Q, which repeats
    Q). Not for crystals.
    """
    mean, mean_square = _moments(shares, weights(q, list(shares), weighting))
    intensity = np.maximum(total - 1 + mean_square / mean**2, 0.0)
    with np.errstate(divide="ignore"):
        return np.where(counts > 0, intensity / np.sqrt(np.maximum(counts, 1)), np.nan)


def bhatia_thornton(
    partials: Mapping[str, np.ndarray], shares: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Bhatia-Thornton S_NN, S_NC, S_CC of Faber-Ziman partials of two elements.

    Bhatia & Thornton, Phys. Rev. B 2, 3004 (1970); at large Q they go to 1, 0 and c_a c_b. With
    the elements in the order of `shares`, as Si and O: c_a is the share of the first.

    Raises
    ------
    StructureError
        If there are not two elements.
    """
    if len(shares) != 2:
        raise StructureError(
            f"Bhatia-Thornton partials are of two elements; here are {', '.join(shares)}"
        )
    c_a = next(iter(shares.values()))
    c_b = 1 - c_a
    aa, ab, bb = (partials[pair] for pair in pairs_of(list(shares)))
    return {
        "NN": c_a**2 * aa + c_b**2 * bb + 2 * c_a * c_b * ab,
        "NC": c_a * c_b * (c_a * (aa - ab) - c_b * (bb - ab)),
        "CC": c_a * c_b * (1 + c_a * c_b * (aa + bb - 2 * ab)),
    }


def ashcroft_langreth(
    partials: Mapping[str, np.ndarray], shares: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Ashcroft-Langreth partials of Faber-Ziman ones: δ_ab + √(c_a c_b) (S_ab - 1)."""
    c = list(shares.values())
    return {
        pair: float(a == b) + np.sqrt(c[a] * c[b]) * (partials[pair] - 1)
        for pair, (a, b) in pairs_of(list(shares)).items()
    }
