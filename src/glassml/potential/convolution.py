"""A NequIP network's convolutions in one kernel each, their radial functions from a table.

NequIP weights each path of a tensor product with a small neural network of the distance. For atoms
of a trained network that is a function of one number: here it is a table of cubics, which agree in
value and slope where they meet. So what half a gigabyte a layer had carried from one kernel to the
next is gone, and with it the largest products of matrices. Kernels are those of
`glassml.potential.convolution_kernels`.
"""

# ruff: noqa: ARG001  (what is registered of an operator has its arguments)

import copy
import re
from typing import Any

import torch

from glassml.potential.packages import PotentialError

#: Intervals of the table, from no distance to the cutoff.
INTERVALS = 512
#: Paths l1 l2 l3 that the kernels know, in their order.
PATHS = (
    (0, 0, 0),
    (0, 1, 1),
    (0, 2, 2),
    (1, 0, 1),
    (1, 1, 0),
    (1, 1, 2),
    (1, 2, 1),
    (2, 0, 2),
    (2, 1, 1),
    (2, 2, 0),
    (2, 2, 2),
)
L_MAX = 2
#: Threads that a GPU moves together.
WARP = 32


class UnsupportedError(PotentialError):
    """A network whose convolutions the kernels do not know."""


def paths_of(largest_in: int, largest_edge: int, largest_out: int) -> list[tuple[int, int, int]]:
    """Give the paths that the largest l of features, spherical harmonics and sums allow."""
    most = (largest_in, largest_edge, largest_out)
    return [
        path for path in PATHS if all(one <= other for one, other in zip(path, most, strict=True))
    ]


def _sizes(most: list[int], channels: int) -> dict[str, int]:
    """Give what a kernel is compiled for."""
    out = [l3 for _, _, l3 in paths_of(*most)]
    return {
        "PATHS": len(out),
        "INPUTS": (most[0] + 1) ** 2,
        "OUTPUTS": sum(2 * l3 + 1 for l3 in out),
        "ONES": out.count(0),
        "TWOS": out.count(0) + 3 * out.count(1),
        "IN": most[0],
        "EDGE": most[1],
        "OUT": most[2],
        "CHANNELS": channels,
    }


def _constants(table: torch.Tensor, most: list[int]) -> dict[str, int]:
    intervals, _, _, channels = table.shape
    return _sizes(most, channels) | {"INTERVALS": intervals, "num_warps": channels // WARP}


def _lengths(table: torch.Tensor, cutoff_A: float) -> tuple[float, float]:
    """Give the square of the cutoff, and intervals of the table in an Å."""
    return cutoff_A**2, table.shape[0] / cutoff_A


def _arranged(features: torch.Tensor, sizes: dict[str, int]) -> torch.Tensor:
    """Bring all features of a component together."""
    from glassml.potential import convolution_kernels  # noqa: PLC0415  (Triton is for GPUs)

    arranged = torch.empty_like(features)
    wanted = {name: sizes[name] for name in ("INPUTS", "IN", "CHANNELS", "num_warps")}
    convolution_kernels.arrange[(features.shape[0],)](features, arranged, **wanted)
    return arranged


@torch.library.custom_op("glassml::convolve", mutates_args=())
def convolve(
    features: torch.Tensor,
    vectors: torch.Tensor,
    starts: torch.Tensor,
    second: torch.Tensor,
    table: torch.Tensor,
    cutoff_A: float,
    most: list[int],
) -> torch.Tensor:
    """Sum tensor products over neighbours.

    Parameters
    ----------
    features
        Shape (atoms, (l + 1)² channels), in e3nn's order.
    vectors
        To the neighbours in Å, shape (pairs, 3), single precision, sorted by atom.
    starts, second
        Where each atom's pairs begin, shape (atoms + 1,), and the neighbours; 32 bits.
    table
        Shape (intervals, 4, paths, channels): see `radial_table`.
    cutoff_A
        Where the table ends; pairs that are farther apart add nothing.
    most
        The largest l of features, spherical harmonics and sums.

    Returns
    -------
    Tensor
        Shape (atoms, numbers), in e3nn's order: paths by the l of their sums.
    """
    from glassml.potential import convolution_kernels  # noqa: PLC0415

    sizes = _constants(table, most)
    atoms = features.shape[0]
    sums = features.new_empty((atoms, sizes["OUTPUTS"] * sizes["CHANNELS"]))
    convolution_kernels.forward[(atoms,)](
        _arranged(features, sizes),
        vectors,
        starts,
        second,
        table,
        sums,
        *_lengths(table, cutoff_A),
        **sizes,
    )
    return sums


@convolve.register_fake
def _(
    features: torch.Tensor,
    vectors: torch.Tensor,
    starts: torch.Tensor,
    second: torch.Tensor,
    table: torch.Tensor,
    cutoff_A: float,
    most: list[int],
) -> torch.Tensor:
    sizes = _sizes(most, table.shape[3])
    return features.new_empty((features.shape[0], sizes["OUTPUTS"] * sizes["CHANNELS"]))


@torch.library.custom_op("glassml::convolve_backward", mutates_args=())
def convolve_backward(
    of_sums: torch.Tensor,
    features: torch.Tensor,
    vectors: torch.Tensor,
    starts: torch.Tensor,
    second: torch.Tensor,
    table: torch.Tensor,
    cutoff_A: float,
    most: list[int],
    by_features: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the derivatives by features and vectors, from that by what `convolve` returns.

    Each pair must be there in both directions. Without `by_features` the first result is empty.
    """
    from glassml.potential import convolution_kernels  # noqa: PLC0415

    sizes = _constants(table, most)
    atoms = features.shape[0]
    of_vectors, arranged = torch.empty_like(vectors), torch.empty_like(of_sums)
    lengths = _lengths(table, cutoff_A)
    convolution_kernels.of_vectors[(atoms,)](
        _arranged(features, sizes),
        vectors,
        starts,
        second,
        table,
        of_sums,
        of_vectors,
        arranged,
        *lengths,
        **sizes,
    )
    if not by_features:
        return features.new_empty((0,)), of_vectors
    of_features = torch.empty_like(features)
    convolution_kernels.of_features[(atoms,)](
        vectors, starts, second, table, arranged, of_features, *lengths, **sizes
    )
    return of_features, of_vectors


@convolve_backward.register_fake
def _(
    of_sums: torch.Tensor,
    features: torch.Tensor,
    vectors: torch.Tensor,
    starts: torch.Tensor,
    second: torch.Tensor,
    table: torch.Tensor,
    cutoff_A: float,
    most: list[int],
    by_features: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    first = torch.empty_like(features) if by_features else features.new_empty((0,))
    return first, torch.empty_like(vectors)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    *tensors, ctx.cutoff_A, ctx.most = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, of_sums: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    wanted = ctx.needs_input_grad[0]
    by_features, by_vectors = convolve_backward(
        of_sums.contiguous(), *ctx.saved_tensors, ctx.cutoff_A, ctx.most, wanted
    )
    return by_features if wanted else None, by_vectors, None, None, None, None, None


convolve.register_autograd(_backward, setup_context=_setup_context)


@torch.library.custom_op("glassml::pulls_of_atoms", mutates_args=())
def pulls_of_atoms(
    of_vectors: torch.Tensor, vectors: torch.Tensor, starts: torch.Tensor, opposite: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum derivatives by vectors over the pairs of each atom.

    Parameters
    ----------
    of_vectors, vectors
        In eV/Å and Å, shape (pairs, 3), the vectors in double precision.
    starts
        Where each atom's pairs begin, shape (atoms + 1,).
    opposite
        Where each pair is in the other direction, shape (pairs,).

    Returns
    -------
    forces, outer
        Shape (atoms, 3) and (atoms, 6): xx, yy, zz, yz, xz and xy of the sum of vector times
        derivative, made symmetric.
    """
    from glassml.potential import convolution_kernels  # noqa: PLC0415

    atoms = len(starts) - 1
    forces, outer = vectors.new_empty((atoms, 3)), vectors.new_empty((atoms, 6))
    convolution_kernels.of_atoms[(atoms,)](
        of_vectors, vectors, starts, opposite, forces, outer, COLUMNS=WARP, num_warps=1
    )
    return forces, outer


@pulls_of_atoms.register_fake
def _(
    of_vectors: torch.Tensor, vectors: torch.Tensor, starts: torch.Tensor, opposite: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    atoms = starts.shape[0] - 1
    return vectors.new_empty((atoms, 3)), vectors.new_empty((atoms, 6))


class Vectors(torch.nn.Module):
    """Stands where NequIP makes spherical harmonics: hands on the vectors themselves."""

    def __init__(self, field: str) -> None:
        super().__init__()
        self.field = field

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Put the vectors in single precision where spherical harmonics are looked for."""
        data[self.field] = data["edge_vectors"].to(torch.float32)
        return data


class Nothing(torch.nn.Module):
    """Stands where NequIP computes radial weights, which are in a table."""

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """Hand on what is not looked at."""
        return embedding


class Convolution(torch.nn.Module):
    """Stands where NequIP multiplies and sums: the same numbers by the kernels.

    Parameters
    ----------
    scatter
        NequIP's module, whose paths are taken over.
    table
        Of its radial functions, paths in NequIP's order: shape (intervals, 4, numbers).
    cutoff_A
        In Å.

    Raises
    ------
    UnsupportedError
        If the kernels do not know a path, or the number of features.
    """

    def __init__(self, scatter: Any, table: torch.Tensor, cutoff_A: float) -> None:
        super().__init__()
        product = scatter.tp
        degrees = [
            [ir.l for _, ir in irreps]
            for irreps in (product.irreps_in1, product.irreps_in2, product.irreps_out)
        ]
        channels = {mul for mul, _ in product.irreps_in1} | {mul for mul, _ in product.irreps_out}
        self.most = [max(each) for each in degrees]
        wanted = paths_of(*self.most) if max(self.most) <= L_MAX else []
        found = {
            (degrees[0][each.i_in1], degrees[1][each.i_in2], degrees[2][each.i_out]): each
            for each in product.instructions
        }
        self.channels = channels.pop()
        if (
            channels
            or self.channels & (self.channels - 1)
            or self.channels < WARP
            or sorted(found) != sorted(wanted)
            or len(found) != len(product.instructions)
            or degrees[0] != list(range(self.most[0] + 1))
            or [found[path].i_out for path in sorted(wanted, key=lambda path: path[2])]
            != list(range(len(wanted)))
        ):
            raise UnsupportedError(
                f"{product.irreps_in1} x {product.irreps_in2} -> {product.irreps_out}: the kernels "
                "of the shortcut 'fused' know l up to 2 without parity, with as many features of "
                "each l, a power of two from 32 on: take it out of md.shortcuts"
            )
        self.cutoff_A = cutoff_A
        order = {id(each): index for index, each in enumerate(product.instructions)}
        columns = table.reshape(*table.shape[:2], len(order), self.channels)
        factors = [_factor(path, found[path].path_weight) for path in wanted]
        columns = torch.stack(
            [
                factor * columns[:, :, order[id(found[path])]]
                for path, factor in zip(wanted, factors, strict=True)
            ],
            dim=2,
        )
        self.register_buffer("table", columns.to(torch.float32).contiguous(), persistent=False)

    def forward(
        self,
        x: torch.Tensor,
        edge_attr: torch.Tensor,
        edge_weight: torch.Tensor,  # noqa: ARG002  (NequIP gives it)
        edge_dst: torch.Tensor,
        edge_src: torch.Tensor,
    ) -> torch.Tensor:
        """Sum over neighbours; `edge_attr` are the vectors, `edge_dst` ascends."""
        # not len(x): a number that is traced would be that of one batch
        places = torch.arange(x.shape[0] + 1, device=x.device)
        starts = torch.searchsorted(edge_dst, places, out_int32=True)
        return convolve(
            x.contiguous(),
            edge_attr,
            starts,
            edge_src.to(torch.int32),
            self.table,
            self.cutoff_A,
            self.most,
        )


def _factor(path: tuple[int, int, int], path_weight: float) -> float:
    """Give what a path's weight is to be multiplied with for the kernels' products.

    `path_weight` is e3nn's, to be multiplied with Wigner's symbol: 1 / sqrt(2 l + 1) on the
    diagonal if one of the three is 0, which the kernels leave out.
    """
    if 0 in path:
        return path_weight / (2 * max(path) + 1) ** 0.5
    return path_weight


def radial_table(bessel: Any, factor: Any, mlp: Any) -> torch.Tensor:
    """Tabulate radial weights between no distance and the cutoff.

    Parameters
    ----------
    bessel, factor, mlp
        NequIP's modules: of the distance relative to the cutoff, of its result, and of that.

    Returns
    -------
    Tensor
        Shape (`INTERVALS`, 4, numbers), double precision: coefficients of the cubic in the part of
        an interval that was gone, which has the weights' values and slopes at both ends.
    """
    bessel, factor, mlp = (copy.deepcopy(each).double() for each in (bessel, factor, mlp))
    bessel._output_dtype = torch.float64  # noqa: SLF001  (it would round to the network's)

    def weights(relative: torch.Tensor) -> torch.Tensor:
        data = factor(bessel({bessel.norm_length_field: relative[:, None]}))
        found: torch.Tensor = mlp(data[bessel.edge_invariant_field])
        return found

    device = next(mlp.parameters()).device
    relative = torch.linspace(0, 1, INTERVALS + 1, dtype=torch.float64, device=device)
    values, slopes = (
        each.detach()
        for each in torch.func.jvp(
            weights, (relative,), (torch.full_like(relative, 1 / INTERVALS),)
        )
    )
    step = values[1:] - values[:-1]
    return torch.stack(
        [
            values[:-1],
            slopes[:-1],
            3 * step - 2 * slopes[:-1] - slopes[1:],
            slopes[:-1] + slopes[1:] - 2 * step,
        ],
        dim=1,
    )


def fuse(network: torch.nn.Module) -> torch.nn.Module:
    """Replace the convolutions of a NequIP network, in place.

    Raises
    ------
    UnsupportedError
        If the network has what the kernels do not know.
    """
    parts = {name: module for name, module in network.named_modules() if name}

    def named(kind: str) -> list[str]:
        # classes of a package are not those that are installed
        return [name for name, module in parts.items() if type(module).__name__ == kind]

    blocks = named("InteractionBlock")
    singles = [
        named(kind)
        for kind in (
            "SphericalHarmonicEdgeAttrs",
            "EdgeLengthNormalizer",
            "BesselEdgeLengthEncoding",
            "ApplyFactor",
        )
    ]
    if not blocks or any(len(each) != 1 for each in singles):
        raise UnsupportedError("the shortcut 'fused' knows NequIP's networks alone")
    harmonics, normalizer, bessel, factor = (parts[each[0]] for each in singles)
    if normalizer._per_edge_type or next(network.parameters()).dtype != torch.float32:  # noqa: SLF001
        raise UnsupportedError("the shortcut 'fused' is for one cutoff and single precision")
    if not re.fullmatch(r"(1x\d[eo]\+?)+", str(harmonics.irreps_edge_sh)):
        raise UnsupportedError(f"spherical harmonics {harmonics.irreps_edge_sh}")
    cutoff_A = float(normalizer.r_max)
    for name in blocks:
        block: Any = parts[name]
        table = radial_table(bessel, factor, block.edge_mlp)
        block.tp_scatter = Convolution(block.tp_scatter, table, cutoff_A)
        block.edge_mlp = Nothing()
    parent, _, last = singles[0][0].rpartition(".")
    setattr(network.get_submodule(parent), last, Vectors(harmonics.out_field))
    return network
