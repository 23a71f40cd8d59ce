"""Labels for NequIP's trainer with their neighbours, found once and not in every epoch."""

from nequip.data.datamodule import ASEDataModule


class PreparedDataModule(ASEDataModule):
    """NequIP's reader of labels, which keeps them as its transforms leave them.

    To find the neighbours of 48 labels takes a core longer than a GPU needs to train on them. What
    is kept takes 40 bytes a neighbour: a quarter of a gigabyte for 5,000 labels of 27 atoms within
    5 Å, which the processes that prepare batches share.
    """

    def setup(self, stage: str) -> None:
        """Read the labels, and transform them."""
        super().setup(stage)
        for name in ("train_dataset", "val_dataset", "test_dataset"):
            for dataset in getattr(self, name, []):
                dataset.data_list = dataset[:]
                dataset.transforms = []
