"""Captions of scenes of digits with soft and hard attention, and pictures of where the models look.

    python benchmarks/attention/scenes.py --out runs/scenes           # half an hour; the same command resumes
    python benchmarks/attention/scenes.py --out runs/scenes --only soft uniform   # some rows
    python benchmarks/attention/scenes.py --out runs/scenes --page    # write what is finished

The configuration is ``attention_scenes`` with fewer steps; rows and searches are some of those of ``attention.py``, and
so are the record, ``scenes.json``, and the page and the pictures that are written from it.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from gumbelzoo import load
from gumbelzoo.benchmarks.attention.rows import SEEDS, TUNING_SEED
from gumbelzoo.benchmarks.attention.scenes_report import PICTURED, draw, page
from gumbelzoo.benchmarks.attention.scenes_rows import CONFIG, ROWS, STEPS, TUNING_STEPS
from gumbelzoo.benchmarks.common import search
from gumbelzoo.benchmarks.common.runs import row_folder
from gumbelzoo.benchmarks.common.table import Record, finish_seed, read_record, run_command, seeds_of_rows, write_record
from gumbelzoo.callbacks.alignments import alignment_picture
from gumbelzoo.data import PairData
from torchvision.utils import save_image

RECORD = Path(__file__).with_suffix(".json")
DATA = "scenes"


def train(out: Path, name: str, what: str, steps: int, choice: search.Choice, seed: int, test: bool) -> Path:
    """Train (and test) one run of a row, or resume it; return the run folder."""
    options = [*ROWS[name].options(*choice), f"--data.name={DATA}", f"--seed_everything={seed}"]
    return search.train(row_folder(out, name) / what, CONFIG, options, steps, test)


def run_job(out: Path, record: Record, name: str, seed: int) -> bool:
    """Finish one run, and its row's search before the first; True if the record did not have it."""
    row = ROWS[name]
    plan = search.Plan(row.choices, "val/nll", STEPS, TUNING_STEPS, TUNING_SEED, row.entropies)
    if (found := finish_seed(record, name, seed, plan, partial(train, out, name))) is None:
        return False
    if seed == SEEDS[0] and name in PICTURED:
        draw_scenes(found, RECORD.with_name(PICTURED[name]))
    return True


def draw_scenes(run: Path, path: Path) -> None:
    """Draw where a trained model looks in the first test scenes."""
    batch = next(iter(PairData(DATA).test_dataloader()))
    save_image(alignment_picture(load(str(run)), batch), path)


def write(record: Record) -> None:
    """Write record, page and picture."""
    write_record(RECORD, record, ROWS, page, draw)


def main() -> None:
    """Run the command line."""
    jobs = partial(seeds_of_rows, seeds=SEEDS)
    run_command(str(__doc__), "runs/scenes", list(ROWS), jobs, (run_job,), read_record(RECORD), write)


if __name__ == "__main__":
    main()
