"""What the host does in a step of training, part by part: operator calls, waits, and time.

    python benchmarks/potential/training_step.py resources/reference/labels.extxyz.gz [--own]

A real training by NequIP on a CPU, of random weights: what is called depends on the network alone,
not on its weights or its batch, of which only "data" depends. On a GPU each call costs the host
some 5 to 10 µs and starts a kernel or two, views apart; each wait lets the GPU run dry. The CPU's
own arithmetic is most of the time of "network" and "backward", and of the optimizer's.
"""

import argparse
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import yaml
from ase.io import read, write
from hydra.utils import instantiate
from lightning.pytorch.profilers import Profiler
from nequip.utils.global_state import set_global_state
from torch.utils._python_dispatch import TorchDispatchMode

from glassml.campaign.config.potential import Network, Training
from glassml.potential.nequip_command import FASTER
from glassml.potential.shifts import mean_neighbours
from glassml.potential.training_config import scratch_model, training_config

SPECIES = ["O", "Si"]
PARTS = {
    "train_dataloader_next": "data",
    "batch_to_device": "transfer",
    "backward": "backward",
    "optimizer_step": "optimizer",
    "zero_grad": "zero_grad",
    "[Callback]": "callbacks",
}
ORDER = (*PARTS.values(), "network", "loss", "EMA", "rest")
WAITS = ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal")


class Parts(Profiler):
    """Gives calls and time to the innermost part of a step that is under way."""

    def __init__(self, steps):
        super().__init__()
        self.steps, self.open = steps, ["rest"]
        self.calls, self.kernels, self.waits = Counter(), Counter(), Counter()
        self.seconds, self.since = Counter(), 0.0
        self.done = -1  # the first step, which warms up, does not count

    @property
    def counts(self):
        return 0 <= self.done < self.steps

    def start(self, action_name):
        part = next((part for key, part in PARTS.items() if key in action_name), None)
        self.enter(part or ("rest" if action_name.startswith("[") else self.open[-1]))

    def stop(self, action_name):
        self.leave()
        self.done += action_name == "run_training_batch"

    def enter(self, part):
        self._tick()
        self.open.append(part)

    def leave(self):
        self._tick()
        self.open.pop()

    def _tick(self):
        now = time.process_time()
        if self.counts:
            self.seconds[self.open[-1]] += now - self.since
        self.since = now

    def add(self, operator):
        if self.counts:
            part, name = self.open[-1], operator.name()
            self.calls[part] += 1
            self.kernels[part] += not operator.is_view
            self.waits[part] += name in WAITS


class Calls(TorchDispatchMode):
    """Tells of each operator that is called."""

    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.parts.add(func)
        return func(*args, **kwargs or {})


def configuration(frames, folder, size, batch, optimizer):
    """Write labels, and describe a training on them."""
    cutoff, layers, l_max, features = size.split("/")
    network = Network(
        cutoff_A=float(cutoff),
        layers=int(layers),
        l_max=int(l_max),
        features=int(features),
        radial_width=64,
    )
    write(folder / "train.extxyz", frames)
    write(folder / "validation.extxyz", frames[:1])
    model = scratch_model(
        network,
        species=SPECIES,
        shifts_eV=dict.fromkeys(SPECIES, 0.0),
        scale_eV=1.0,
        neighbours=mean_neighbours(frames[:1], network.cutoff_A),
        seed=1,
    )
    training = Training(
        batch_size=batch, optimizer=optimizer, loss="huber", ema_decay=0.999, max_epochs=1
    )
    config = training_config(
        training,
        model=model,
        species=SPECIES,
        cutoff_A=network.cutoff_A,
        train_count=len(frames),
        validate_every=1,
        folder=folder,
        seed=1,
    )
    return yaml.safe_load(yaml.safe_dump(config))


def faster(config):
    """Take in the place of NequIP's own what `glassml potential train` takes."""
    for section in (config["data"], config["training_module"]["optimizer"]):
        section["_target_"] = FASTER.get(section["_target_"], section["_target_"])


def train(config, parts):
    """Train as `nequip-train` does, and tell `parts` what is under way."""
    data = instantiate(config["data"], _recursive_=False)
    trainer = instantiate(
        config["trainer"],
        accelerator="cpu",
        devices=1,
        inference_mode=False,
        limit_val_batches=0,
        enable_checkpointing=False,
        callbacks=[
            instantiate(each)
            for each in config["trainer"]["callbacks"]
            if "OrderByEpoch" in each["_target_"] or "Timer" in each["_target_"]
        ],
        profiler=parts,
    )
    module = instantiate(
        config["training_module"],
        _recursive_=False,
        _convert_="all",
        num_datasets=data.num_datasets,
        info_dict={},
    )
    for part, child in (("network", module.model), ("loss", module.loss)):
        called = child["sole_model"] if part == "network" else child
        called.register_forward_pre_hook(lambda *_, part=part: parts.enter(part))
        called.register_forward_hook(lambda *_: parts.leave())
    update = module.ema.update_parameters

    def updated(model):
        parts.enter("EMA")
        update(model)
        parts.leave()

    module.ema.update_parameters = updated
    trainer.fit(module, datamodule=data)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", type=Path, help="labelled configurations, extxyz")
    parser.add_argument("--size", default="5.0/3/2/32", help="cutoff/layers/l_max/features")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--optimizer", default="muon", choices=["adam", "muon"])
    parser.add_argument("--own", action="store_true", help="NequIP's own optimizer and reader")
    args = parser.parse_args()
    torch.set_num_threads(1)
    set_global_state()
    frames = [atoms for atoms in read(args.labels, ":") if "REF_stress" in atoms.info]
    count = args.batch * (args.steps + 2)
    frames = frames[:: len(frames) // count][:count]
    measured = []
    for count in (True, False):
        parts = Parts(args.steps)
        with TemporaryDirectory() as folder:
            config = configuration(frames, Path(folder), args.size, args.batch, args.optimizer)
            if not args.own:
                faster(config)
            if count:
                with Calls(parts):
                    train(config, parts)
            else:
                train(config, parts)
        measured.append(parts)
    counted, timed = measured
    print("| part | calls | without views | waits | CPU, ms |\n| --- | ---: | ---: | ---: | ---: |")
    for part in dict.fromkeys(ORDER):
        numbers = [c[part] / args.steps for c in (counted.calls, counted.kernels, counted.waits)]
        print(
            f"| {part} | {' | '.join(f'{number:.0f}' for number in numbers)} "
            f"| {1e3 * timed.seconds[part] / args.steps:.1f} |"
        )


if __name__ == "__main__":
    main()
