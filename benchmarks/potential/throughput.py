"""Speed and memory of networks in training and in MD, on a CPU or a GPU, in one table.

    python benchmarks/potential/throughput.py LABELS.extxyz --output table.csv

Weights are random: speed does not depend on them. A size is cutoff/layers/l_max/features. On a GPU
the median of wall times between synchronisations is given; on a CPU, that of the process's CPU time
with one thread, so that a busy machine does not matter. What cannot run is a row with its reason.
"""

import argparse
import functools
import itertools
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from ase.io import read
from hydra.utils import get_method
from nequip.data import AtomicDataDict, from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.nn.compile import ListInputOutputWrapper
from nequip.scripts._compile_utils import COMPILE_TARGET_DICT
from nequip.utils.fx import nequip_make_fx
from nequip.utils.global_state import set_global_state

from glassml.campaign.config.potential import Network
from glassml.campaign.files import write_csv
from glassml.potential.labels import stress_matrix
from glassml.potential.packages import machine
from glassml.potential.padded import cuda_graph
from glassml.potential.shifts import mean_neighbours
from glassml.potential.training_config import scratch_model, with_kernels

SPECIES = ["O", "Si"]
# what compilers and kernels stop with where they do not fit this machine
FAILURES = (RuntimeError, ImportError, AssertionError, TypeError, ValueError, KeyError)
SIZES = (
    "4.5/2/1/16",
    "5.0/2/1/32",
    "4.5/3/1/32",
    "5.0/3/1/32",
    "6.0/3/1/32",
    "5.0/4/1/32",
    "5.0/3/1/64",
    "5.0/3/2/16",
    "5.0/3/2/32",
    "4.5/3/2/32",
    "5.0/4/2/32",
    "5.0/3/2/64",
)
COLUMNS = (
    "task",
    "size",
    "option",
    "batch",
    "atoms",
    "neighbours",
    "parameters",
    "milliseconds",
    "configurations_per_s",
    "atom_steps_per_s",
    "peak_GiB",
    "start_s",
    "force_difference_eV_per_A",
    "reason",
)


def build(size, option, frames, device):
    """Make a network of random weights; `option` is eager, compile or openequivariance."""
    cutoff, layers, l_max, features = size.split("/")
    model = scratch_model(
        Network(
            cutoff_A=float(cutoff),
            layers=int(layers),
            l_max=int(l_max),
            features=int(features),
            radial_width=64,
        ),
        species=SPECIES,
        shifts_eV=dict.fromkeys(SPECIES, 0.0),
        scale_eV=1.0,
        neighbours=mean_neighbours(frames[:20], float(cutoff)),
        seed=1,
    )
    config = with_kernels(model, option)
    return get_method(config.pop("_target_"))(**config).to(device)


def graph_of(atoms, cutoff_A):
    """Give a configuration as NequIP reads it, with its labels if there are some."""
    data = from_ase(atoms)
    if "REF_forces" in atoms.arrays:
        data["forces"] = torch.tensor(atoms.arrays["REF_forces"])
        data["total_energy"] = torch.tensor([[atoms.info["REF_energy"]]])
        data["stress"] = torch.tensor(stress_matrix(atoms)[None])
    for transform in (
        ChemicalSpeciesToAtomTypeMapper(
            model_type_names=SPECIES,
            chemical_species_to_atom_type_map={symbol: symbol for symbol in SPECIES},
        ),
        NeighborListTransform(r_max=cutoff_A),
    ):
        data = transform(data)
    return data


def repeated(atoms, count):
    """Repeat a cell along its shortest sides until it has at least `count` atoms."""
    atoms = atoms.copy()
    repeats = np.ones(3, dtype=int)
    while len(atoms) * repeats.prod() < count:
        repeats[np.argmin(atoms.cell.lengths() * repeats)] += 1
    atoms = atoms.repeat(repeats)
    atoms.rattle(0.01, seed=1)
    return atoms


class Clock:
    """Times calls: GPU by the wall clock, CPU by the time of the process."""

    def __init__(self, device, seconds):
        self.cuda = device.startswith("cuda")
        self.seconds = seconds

    def now(self):
        if self.cuda:
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    def median_ms(self, function, warm_up=3):
        for _ in range(warm_up):
            function()
        times, start = [], time.perf_counter()
        while len(times) < 3 or time.perf_counter() - start < self.seconds:
            before = self.now()
            function()
            times.append(self.now() - before)
        return 1e3 * statistics.median(times)

    def reset_memory(self):
        if self.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak_memory(self):
        return round(torch.cuda.max_memory_allocated() / 2**30, 3) if self.cuda else ""


def training_row(size, option, frames, batch, device, clock):
    """Measure steps of training: energy, forces and stress, backward, Adam."""
    clock.reset_memory()
    network = build(size, option, frames, device).train()
    cutoff = float(size.split("/")[0])
    rng = np.random.default_rng(1)
    batches = []
    for _ in range(8):
        chosen = [frames[k] for k in rng.choice(len(frames), batch)]
        data = AtomicDataDict.batched_from_list([graph_of(atoms, cutoff) for atoms in chosen])
        batches.append(AtomicDataDict.to_(data, device))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    done = 0

    def step():
        nonlocal done
        data = batches[done % len(batches)]
        done += 1
        labels = {key: data[key] for key in ("forces", "stress", "total_energy")}
        found = network({k: v for k, v in data.items() if k not in labels})
        per_atom = 1.0 / data["num_atoms"].reshape(-1, 1)
        loss = torch.nn.functional.mse_loss(found["forces"], labels["forces"])
        loss = loss + torch.nn.functional.mse_loss(found["stress"], labels["stress"])
        loss = loss + torch.nn.functional.mse_loss(
            per_atom * found["total_energy"], per_atom * labels["total_energy"]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    start = time.perf_counter()
    step()
    start = time.perf_counter() - start
    milliseconds = clock.median_ms(step, warm_up=len(batches))
    return {
        "atoms": round(np.mean([AtomicDataDict.num_nodes(data) for data in batches])),
        "neighbours": round(mean_neighbours(frames[:20], cutoff), 1),
        "parameters": sum(p.numel() for p in network.parameters()),
        "milliseconds": milliseconds,
        "configurations_per_s": 1e3 * batch / milliseconds,
        "start_s": start,
        "peak_GiB": clock.peak_memory(),
    }


class Evaluation:
    """A network with fixed inputs, whose positions can be changed in place."""

    def __init__(self, network, data, keys):
        self.network, self.data, self.keys = network.eval(), data, keys
        self.atoms = AtomicDataDict.num_nodes(data)
        data["pos"] = data["pos"].clone()
        self.call = lambda: network(dict(data))

    def compile(self, outputs):
        wrapped = ListInputOutputWrapper(self.network, self.keys, outputs)
        traced = nequip_make_fx(wrapped, self.data, self.keys)
        compiled = torch.compile(traced, dynamic=True)
        inputs = [self.data[key] for key in self.keys]

        def call():
            with torch.no_grad():
                return dict(zip(outputs, compiled(*inputs), strict=True))

        self.call = call

    def forces_at(self, positions):
        self.data["pos"].copy_(positions)
        return self.call()["forces"].detach().clone()


def boxes(frames, cutoffs, counts):
    """Give periodic boxes of glass as NequIP reads them, by cutoff and number of atoms."""
    target = COMPILE_TARGET_DICT["ase"]
    found = {}
    for count in counts:
        atoms = repeated(max(frames, key=len), count)
        atoms.arrays.pop("REF_forces")
        for cutoff in cutoffs:
            found[cutoff, count] = target["data_settings"](graph_of(atoms, cutoff))
    return found


def inference_row(evaluation, kernels, graph, expected, moved, clock):
    """Measure energies, forces and stress of one box."""
    clock.reset_memory()
    start = time.perf_counter()
    if kernels == "compile":
        evaluation.compile(["total_energy", "forces", "stress"])
        evaluation.call()
    if graph:
        evaluation.call = cuda_graph(evaluation.call)
    evaluation.call()
    start = time.perf_counter() - start
    milliseconds = clock.median_ms(evaluation.call)
    return {
        "milliseconds": milliseconds,
        "atom_steps_per_s": 1e3 * evaluation.atoms / milliseconds,
        "start_s": start,
        "peak_GiB": clock.peak_memory(),
        "force_difference_eV_per_A": float((evaluation.forces_at(moved) - expected).abs().max()),
    }


def inference(table, size, options, frames, data_of, device, clock, deadline):
    """Add the rows of a size: each option in each box, compared with the eager network."""
    keys = COMPILE_TARGET_DICT["ase"]["input"]
    networks = {"eager": build(size, "eager", frames, device)}
    cutoff = float(size.split("/")[0])
    for count in sorted(count for each, count in data_of if each == cutoff):
        data = AtomicDataDict.to_(data_of[cutoff, count].copy(), device)
        moved = data["pos"] + 0.02 * torch.randn_like(data["pos"])
        common = {"task": "inference", "size": size, "atoms": AtomicDataDict.num_nodes(data)}
        common["neighbours"] = round(data["edge_index"].shape[1] / common["atoms"], 1)
        try:
            expected = Evaluation(networks["eager"], data.copy(), keys).forces_at(moved)
        except torch.cuda.OutOfMemoryError as error:
            table.add(common | {"option": "eager", "reason": str(error).splitlines()[0][:120]})
            break
        for option in options:
            kernels, _, graph = option.partition("+")
            name = "eager" if kernels == "compile" else kernels

            def row(kernels=kernels, name=name, graph=graph, data=data, **checks):
                if name not in networks:
                    networks[name] = build(size, name, frames, device)
                evaluation = Evaluation(networks[name], data.copy(), keys)
                return inference_row(evaluation, kernels, graph, clock=clock, **checks)

            measure(
                table, common | {"option": option}, row, deadline, expected=expected, moved=moved
            )


class Table:
    """Rows that are in the file as soon as they are measured."""

    def __init__(self, path):
        self.path, self.rows = path, []
        print(",".join(COLUMNS))

    def add(self, row):
        row = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
        self.rows.append(row)
        write_csv(self.path, self.rows, COLUMNS)
        print(",".join(str(row.get(column, "")) for column in COLUMNS), flush=True)


def measure(table, common, row, deadline, **arguments):
    """Add a row, or the reason why there is none."""
    if time.monotonic() > deadline:
        table.add(common | {"reason": "not measured: out of time"})
        return
    try:
        table.add(common | row(**arguments))
    except FAILURES as error:
        lines = str(error).strip().splitlines() or [repr(error)]
        table.add(common | {"reason": f"{type(error).__name__}: {lines[0][:200]}"})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", type=Path, help="labelled configurations, extxyz")
    parser.add_argument("--output", type=Path, required=True, help="table, CSV")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--sizes", nargs="*", default=SIZES)
    parser.add_argument("--training", nargs="*", default=["eager"], help="eager compile ...")
    parser.add_argument("--batches", nargs="*", type=int, default=[8])
    parser.add_argument("--inference", nargs="*", default=["eager"], help="eager+graph ...")
    parser.add_argument("--atoms", nargs="*", type=int, default=[192])
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--budget", type=float, default=1e9, help="seconds for the whole table")
    args = parser.parse_args()
    deadline = time.monotonic() + args.budget
    torch.set_num_threads(1)
    set_global_state()
    print(machine(args.device))
    clock = Clock(args.device, args.seconds)
    frames = [a for a in read(args.labels, ":") if a.pbc.all() and "REF_stress" in a.info]
    frames = [a for a in frames if set(a.symbols) == set(SPECIES) and len(a) > 2]
    table = Table(args.output)
    for option, size, batch in itertools.product(args.training, args.sizes, args.batches):
        common = {"task": "training", "size": size, "option": option, "batch": batch}
        row = functools.partial(
            training_row, size, option, frames, batch, device=args.device, clock=clock
        )
        measure(table, common, row, deadline)
    cutoffs = {float(size.split("/")[0]) for size in args.sizes}
    data_of = boxes(frames, sorted(cutoffs), args.atoms if args.inference else [])
    for size in args.sizes:
        inference(table, size, args.inference, frames, data_of, args.device, clock, deadline)


if __name__ == "__main__":
    main()
