"""Random numbers: each use has its own stream, derived from the campaign's seed and a name."""

import hashlib

import numpy as np


def derive_seed(seed: int, *names: str | int) -> int:
    """Derive a seed below 2**31 for the use called `names` from the campaign's `seed`."""
    text = "/".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Give the random number generator of the use called `names`, e.g. `("glass", 3)`."""
    return np.random.default_rng(derive_seed(seed, *names))
