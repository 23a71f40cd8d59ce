"""Names that the configuration, several stages and the report have in common."""

from typing import Literal, get_args

#: In the order in which data flows through them.
STAGES = (
    "configurations",
    "dft",
    "dataset",
    "potential",
    "md",
    "structure",
    "studies",
    "report",
)
Criterion = Literal["primitive", "king", "king-shell", "guttman"]
#: Criteria of rings; what they mean is in `docs/structure.md`.
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
#: The criterion that studies and the acceptance table compare.
KING: Criterion = "king"
#: Values of `config_type` that are liquid or glass: what a potential for glass is judged by.
DISORDERED = ("liquid", "glass", "compressed", "hot_compressed", "decompressed")
