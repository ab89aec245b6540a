"""Frequencies of Fashion-MNIST: a learned gate with a quarter of the channels, beside all 1,820 choices of 4 of 16.

    python benchmarks/gates/fashion.py --out runs/gates_fashion        # half an hour a seed; the same command resumes
    python benchmarks/gates/fashion.py --only subsets simple_4 all     # some rows
    python benchmarks/gates/fashion.py --page                          # page, record and picture of what is finished

The configuration is ``gates_fashion_mnist``. The row ``subsets`` trains one network with random subsets and evaluates
it with each of them.

Runs are ordinary run folders, ``<out>/<row>/seed<number>/``. Finished runs are kept, interrupted ones are resumed.
After each run the record, ``fashion.json``, and from it the page and the picture are written. To replace a recorded
run, remove it from the record. The exit status is 1 if a run failed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gumbelzoo
import torch
from gumbelzoo.benchmarks.common import search
from gumbelzoo.benchmarks.common.runs import row_folder
from gumbelzoo.benchmarks.common.table import Record, add_run, read_record, run_command, seeds_of_rows, write_record
from gumbelzoo.benchmarks.gates.fashion_report import draw, page
from gumbelzoo.benchmarks.gates.fashion_rows import CHANNELS, CONFIG, ROWS, SEEDS, STEPS, SUBSETS, K, validation
from gumbelzoo.models.gates import FrequencyGate
from gumbelzoo.models.relaxed.subset.exact import subsets
from torch import Tensor

RECORD = Path(__file__).with_suffix(".json")
CHOICE = {"learning_rate": 4e-3, "search_minutes": 0.0}  # of the configuration


def run_job(out: Path, record: Record, name: str, seed: int) -> bool:
    """Finish one run; True if the record did not have it."""
    if str(seed) in record.get(name, {}).get("runs", {}):
        return False
    print(f"{name}: seed {seed}", flush=True)
    options = ROWS[name].options(seed)
    run = search.train(row_folder(out, name) / f"seed{seed}", CONFIG, options, STEPS, test=True)
    add_run(record, name, str(seed), CHOICE, run)
    record[name]["runs"][str(seed)] |= measure(name, run)
    return True


def measure(name: str, run: Path) -> dict[str, Any]:
    """Open channels and operations of a run; of the network of all subsets the correct images of each."""
    if ROWS[name].section == SUBSETS:
        model: Any = gumbelzoo.load(str(run / "checkpoints" / "last.ckpt"))  # the best one is that of one subset
        images, labels = validation()
        correct = subset_scores(model, images, labels, subsets(CHANNELS, K))
        return {"correct": " ".join(map(str, correct.tolist()))}
    model = gumbelzoo.load(str(run))
    opened = model.open_channels(torch.zeros(1, *model.image_shape))[0].nonzero().flatten()
    return {"open": opened.tolist(), "flops": model.flops()}


@torch.no_grad()
def subset_scores(model: FrequencyGate, images: Tensor, labels: Tensor, gates: Tensor) -> Tensor:
    """Count the correct images of each choice of channels, ``g n -> g``."""
    channels = model.channels(images)
    rows = [model.classify(channels, choice[None]).argmax(-1) == labels for choice in gates.to(channels.dtype)]
    return torch.stack(rows).sum(-1)


def write(record: Record) -> None:
    """Write record, page and picture."""
    write_record(RECORD, record, ROWS, page, draw)


def main() -> None:
    """Run the command line."""
    jobs = partial(seeds_of_rows, seeds=SEEDS)
    run_command(str(__doc__), "runs/gates_fashion", list(ROWS), jobs, (run_job,), read_record(RECORD), write)


if __name__ == "__main__":
    main()
