"""Where to look: glimpses by every estimator, soft glimpses, spatial transformers and convolutions, on cluttered MNIST.

    python benchmarks/glimpse/glimpse.py --out runs/glimpse             # hours; the same command resumes
    python benchmarks/glimpse/glimpse.py --out runs/glimpse --only soft_6 coarse   # some rows
    python benchmarks/glimpse/glimpse.py --out runs/glimpse --page      # page, record and picture of what is finished

Each row's learning rate and temperature are selected by the validation loss after a fifth of the steps, then the reward
of entropy after all of them, with a seed that is not reported; rows of longer training have the choice of the shorter.
Final runs are three seeds.

Runs are ordinary run folders, ``<out>/<row>/<what>/``. Finished runs are kept, interrupted ones are resumed. After each
run the record, ``glimpse.json``, and from it the page and the picture are written; the record can hold runs of several
machines and runs whose folders are gone. To replace a recorded run, remove it from the record. The exit status is 1 if
a run failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gumbelzoo import load
from gumbelzoo.benchmarks.common import search
from gumbelzoo.benchmarks.common.runs import row_folder
from gumbelzoo.benchmarks.common.table import Record, finish_seed, read_record, run_command, seeds_of_rows, write_record
from gumbelzoo.benchmarks.glimpse.operations import operations, parameters
from gumbelzoo.benchmarks.glimpse.report import draw, page
from gumbelzoo.benchmarks.glimpse.rows import ROWS, SEEDS, TUNING, TUNING_SEED, Row
from gumbelzoo.callbacks.figures import VIEWED, image_figures
from gumbelzoo.data import ClutterData
from torchvision.utils import save_image

RECORD = Path(__file__).with_suffix(".json")
# Rows with a picture.
PICTURED = {"reinforce_leave_one_out_6": "paths.png", "transformer_attention_soft_argmax": "warps.png"}


def train(out: Path, name: str, what: str, steps: int, choice: search.Choice, seed: int, test: bool) -> Path:
    """Train (and test) one run of a row, or resume it; return the run folder."""
    row = ROWS[name]
    options = [*row.options(*choice), f"--seed_everything={seed}"]
    return search.train(row_folder(out, name) / what, row.config, options, steps, test)


def choices(record: Record, row: Row) -> Sequence[search.Choice]:
    """Return the grid of a row's search, or the one choice of the row that it is like.

    Raises:
        RuntimeError: the record does not have that row.
    """
    if not row.like:
        return row.choices
    if row.like not in record:
        raise RuntimeError(f"it has the learning rate of {row.like}, which has not run: run {row.like} first")
    return [search.Choice.read(record[row.like]["choice"])]


def run_job(out: Path, record: Record, name: str, seed: int) -> bool:
    """Finish one run, and its row's search before the first; True if the record did not have it."""
    row = ROWS[name]
    given, short = choices(record, row), row.steps // TUNING
    plan = search.Plan(given, "val/loss", row.steps, short, TUNING_SEED, row.entropies)
    if (found := finish_seed(record, name, seed, plan, partial(train, out, name))) is None:
        return False
    if "operations" not in record[name]:
        model = load(str(found))
        record[name] |= {"operations": operations(model), "parameters": parameters(model)}
    if seed == SEEDS[0] and name in PICTURED:
        draw_views(found, RECORD.with_name(PICTURED[name]))
    return True


def draw_views(run: Path, path: Path) -> None:
    """Draw what a trained model sees of the first test images."""
    batch = next(iter(ClutterData(eval_batch_size=VIEWED).test_dataloader()))
    save_image(image_figures(load(str(run)), batch["image"], batch["label"].tolist())["views"], path)


def write(record: Record) -> None:
    """Write record, page and picture."""
    write_record(RECORD, record, ROWS, page, draw)


def main() -> None:
    """Run the command line."""
    jobs = partial(seeds_of_rows, seeds=SEEDS)
    run_command(str(__doc__), "runs/glimpse", list(ROWS), jobs, (run_job,), read_record(RECORD), write)


if __name__ == "__main__":
    main()
