"""NequIP's Muon in few calls: on a GPU the host cannot start a thousand kernels a step in time."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from nequip.train import MuonWithAuxAdam
from nequip.train.muon import adam_update, zeropower_via_newtonschulz5
from torch import Tensor

Slices = Iterable[tuple[tuple[int, int, int | None], tuple[int, int]]]
ITERATIONS = 5


@dataclass(frozen=True)
class Stack:
    """Where the elements of parameters are in one stack of wide matrices, filled up with zeros.

    Zeros change no product and no norm, so that matrices of all shapes go through the same calls.
    """

    shape: tuple[int, int, int]
    #: of each element of the stack: where it is in the flat parameters; a last one more is zero
    source: Tensor
    #: of each element of the flat parameters: where it is in the stack
    place: Tensor
    #: of each matrix: how much longer the step of a tall one is
    scale: Tensor

    @classmethod
    def of(cls, params: list[Tensor], reshaping: Mapping[int, Slices]) -> Self:
        """Find the places of the matrices that parameters are, or hold one after the other.

        Parameters
        ----------
        params
            Matrices, or vectors that hold some.
        reshaping
            Slices and shapes of the matrices in a vector, by its number.
        """
        total = sum(p.numel() for p in params)
        blocks = []
        for number, flat in enumerate(torch.arange(total).split([p.numel() for p in params])):
            if number in reshaping:
                blocks += [flat[slice(*cut)].view(shape) for cut, shape in reshaping[number]]
            else:
                blocks.append(flat.view(params[number].shape))
        wide = [block.mT if block.size(0) > block.size(1) else block for block in blocks]
        shape = len(wide), max(b.size(0) for b in wide), max(b.size(1) for b in wide)
        source = torch.full(shape, total)
        for filled, block in zip(source, wide, strict=True):
            filled[: block.size(0), : block.size(1)] = block
        source, place = source.flatten(), torch.empty(total + 1, dtype=torch.long)
        place[source] = torch.arange(len(source))
        scale = [max(1, block.size(0) / block.size(1)) ** 0.5 for block in blocks]
        device = params[0].device
        return cls(
            shape,
            source.to(device),
            place[:total].to(device),
            torch.tensor(scale, dtype=torch.float32, device=device).view(-1, 1, 1),
        )

    def orthogonal(self, directions: list[Tensor]) -> list[Tensor]:
        """Turn directions into orthogonal steps, rounded as NequIP rounds those of one matrix."""
        flat = torch.cat([each.flatten() for each in directions] + [directions[0].new_zeros(1)])
        stack = flat.index_select(0, self.source).view(self.shape)
        steps = zeropower_via_newtonschulz5(stack, steps=ITERATIONS)
        scaled = steps.float().mul_(self.scale).to(steps.dtype)
        flat = scaled.flatten().index_select(0, self.place).to(flat.dtype)
        parts = flat.split([each.numel() for each in directions])
        return [part.view_as(each) for part, each in zip(parts, directions, strict=True)]


class StackedMuon(MuonWithAuxAdam):
    """NequIP's Muon beside Adam, with all matrices in one stack.

    Its state is that of `MuonWithAuxAdam`: checkpoints of either go on with the other.

    Parameters
    ----------
    params
        Groups as those of `nequip.model.MuonParamGroups`.
    """

    def __init__(self, params: list[dict[str, Any]]) -> None:
        super().__init__(params)
        self._stacks: dict[int, Stack] = {}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the weights, as `MuonWithAuxAdam` does."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for number, group in enumerate(self.param_groups):
            params = group["params"]
            if not params:
                continue
            for param in params:
                if param.grad is None:
                    param.grad = torch.zeros_like(param)
            updates = self._muon(number, group) if group["use_muon"] else self._adam(group)
            torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(params, updates, alpha=-group["lr"])
        return loss

    def _muon(self, number: int, group: dict[str, Any]) -> list[Tensor]:
        params = group["params"]
        for param in params:
            if not self.state[param]:
                self.state[param]["momentum_buffer"] = torch.zeros_like(param)
        momenta = [self.state[param]["momentum_buffer"] for param in params]
        directions = [param.grad for param in params]
        torch._foreach_lerp_(momenta, directions, 1 - group["momentum"])
        torch._foreach_lerp_(directions, momenta, group["momentum"])
        if number not in self._stacks:
            self._stacks[number] = Stack.of(params, group["e3nn_reshaping"])
        return self._stacks[number].orthogonal(directions)

    def _adam(self, group: dict[str, Any]) -> list[Tensor]:
        updates = []
        for param in group["params"]:
            state = self.state[param]
            if not state:
                state |= {name: torch.zeros_like(param) for name in ("exp_avg", "exp_avg_sq")}
                state["step"] = 0
            state["step"] += 1
            means = state["exp_avg"], state["exp_avg_sq"], state["step"]
            updates.append(adam_update(param.grad, *means, group["betas"], group["eps"]))
        return updates
