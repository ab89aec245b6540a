"""``fit`` from Python: data in memory are kept in the run folder, and an interrupted run is no exception."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from lightning.pytorch import Trainer

from ...data import ImageData
from ...data.images.array_splits import to_arrays
from ...pretrained.paths import whole_file
from ...pretrained.run_files import CONFIG, DATA
from ...pretrained.untrusted import printable
from ..run_folders import runs
from .processes import is_first
from .trainer import ZooCLI

MAX_BYTES = 1 << 26  # of data that a run keeps


def check_kept_size(data: ImageData) -> None:
    """Check that data in memory are small enough to be kept in a run, else ValueError."""
    splits = data.stored
    images = sum(map(len, (splits.train, splits.valid, splits.test)))
    size = images * math.prod(data.shape)
    if size > MAX_BYTES:
        raise ValueError(
            f"the images are {size / 2**20:,.0f} MiB, and a run keeps {MAX_BYTES >> 20} MiB at most: save them, "
            "`numpy.save('images/x_train.npy', x_train)`, and give the folder, data='images'"
        )


class NotebookCLI(ZooCLI):
    """``fit`` on data of a configuration, or on data in memory.

    Args:
        arguments: the command line, without the program.
        data: arrays in memory, in the place of the files that the command line does not name; or None.

    Attributes:
        interrupted: True if training was stopped, and goes on with ``--ckpt_path``.
    """

    def __init__(self, arguments: list[str], data: ImageData | None) -> None:
        self._data, self.interrupted = data, False
        super().__init__(arguments)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Write the data in memory to the folder of the run, and their place to its configuration."""
        if self._data is not None:
            self.datamodule.use_arrays_of(self._data)
        trainer = super().instantiate_trainer(**kwargs)
        if self._data is not None and self.recorder is not None and is_first():
            assert self.recorder.run is not None
            path = self.recorder.run / DATA
            with whole_file(path) as file:
                np.savez(file, **to_arrays(self._data.stored))  # type: ignore[arg-type]
            options = self.config[self.subcommand]
            options.data.init_args.path = str(path.resolve())
            runs.write_text(self.recorder.run / CONFIG, self._dump(options))
        return trainer

    def fit(self, **kwargs: Any) -> None:
        """Train; KeyboardInterrupt only if the run cannot go on."""
        try:
            super().fit(**kwargs)
        except (KeyboardInterrupt, SystemExit) as error:
            if self.recorder is None or not self.recorder.resumable:
                raise KeyboardInterrupt from error
            self.interrupted = True

    def after_fit(self) -> None:
        """Print the results, or how an interrupted run goes on."""
        if not self.interrupted:
            super().after_fit()
        elif self.recorder is not None:
            print(printable(f"\ninterrupted; go on with gumbelzoo.fit(resume='{self.recorder.run}')"))
