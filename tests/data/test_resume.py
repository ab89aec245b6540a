"""A run stopped anywhere by Lightning and resumed sees the batches of the uninterrupted run, bit for bit."""

import pytest
import torch
from gumbelzoo.data import ImageData
from lightning.pytorch import Callback, LightningModule, Trainer

# Lightning's own, with the newest torch.
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")


class Recorder(LightningModule):
    """Model that stores its training batches."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append((self.global_step, batch["label"].clone(), batch["image"].clone()))
        return self.weight * batch["image"].mean()

    def validation_step(self, batch, batch_idx):
        assert len(batch["image"]) == len(batch["label"])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SaveEverywhere(Callback):
    """Callback that writes a checkpoint in every hook in which Lightning's own callback does."""

    def save(self, trainer, hook):
        if not trainer.sanity_checking:
            trainer.save_checkpoint(f"{trainer.default_root_dir}/{hook}-{trainer.global_step}.ckpt")

    def on_train_batch_end(self, trainer, *args):
        self.save(trainer, "batch")

    def on_validation_end(self, trainer, module):
        self.save(trainer, "validation")

    def on_train_epoch_end(self, trainer, module):
        self.save(trainer, "epoch")


def fit(folder, options, resume=None):
    model = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[SaveEverywhere()],
        default_root_dir=folder,
        **options,
    )
    trainer.fit(model, datamodule=ImageData("digits", "dynamic", batch_size=300), ckpt_path=resume)
    return model.seen


@pytest.mark.parametrize(
    "options",
    [
        {"max_epochs": 3},
        {"max_epochs": 3, "limit_train_batches": 3},
        {"max_epochs": -1, "max_steps": 10},
        {"max_epochs": -1, "max_steps": 8, "limit_train_batches": 3},
        {"max_epochs": 3, "val_check_interval": 2},
        {"max_epochs": 4, "reload_dataloaders_every_n_epochs": 2},
    ],
    ids=lambda options: "-".join(options),
)
def test_resumed_batches_are_bit_exact(tmp_path, options):
    whole = fit(tmp_path / "whole", options)
    assert len({image.numpy().tobytes() for _, _, image in whole}) == len(whole)
    paths = sorted((tmp_path / "whole").glob("*.ckpt"))
    assert len(paths) > len(whole)
    for path in paths:
        step = int(path.stem.split("-")[1])
        resumed = fit(tmp_path / path.stem, options, resume=path)
        assert [entry[0] for entry in resumed] == list(range(step, len(whole))), path.stem
        for (_, label, image), (_, resumed_label, resumed_image) in zip(whole[step:], resumed, strict=True):
            assert torch.equal(label, resumed_label), path.stem
            assert torch.equal(image, resumed_image), path.stem


def test_overfitting_repeats_its_batches(tmp_path):
    seen = fit(tmp_path, {"max_epochs": 2, "overfit_batches": 2})
    assert torch.equal(seen[0][1], seen[2][1])
    assert torch.equal(seen[1][1], seen[3][1])
    assert set(seen[0][2].unique().tolist()) == {0.0, 1.0}
