"""VAEs of captions against the same decoder without latents: estimators, Gaussian latents, a critic, controls.

    python benchmarks/text/textvae.py --out runs/textvae             # hours; the same command resumes
    python benchmarks/text/textvae.py --out runs/textvae --only language_model gaussian   # some rows
    python benchmarks/text/textvae.py --out runs/textvae --page      # page, record and picture of what is finished

The configurations are ``textvae_captions`` and, for the language model, ``textgan_captions_mle``. The latter's NLL is
measured on the sentences that the bounds of the former are of.

Runs are ordinary run folders, ``<out>/<row>/seed<seed>/``. Finished runs are kept, interrupted ones are resumed. After
each run the record, ``textvae.json``, and from it the page and the picture are written. To replace a recorded run,
remove it from the record. The exit status is 1 if a run failed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from gumbelzoo.benchmarks.common.runs import finish, row_folder
from gumbelzoo.benchmarks.common.table import Record, add_run, read_record, run_command, seeds_of_rows, write_record
from gumbelzoo.benchmarks.text.textvae_codes import code_figures
from gumbelzoo.benchmarks.text.textvae_report import draw, page
from gumbelzoo.benchmarks.text.textvae_rows import ADVERSARIAL, LM_CONFIG, ROWS, SEEDS
from gumbelzoo.commands.files.source import build_data, resolve_source
from gumbelzoo.models.text.vae.figures import spread

RECORD = Path(__file__).with_suffix(".json")
SENTENCES = 1000  # as many as the bounds are of
NO_SEARCH = {"search_minutes": 0.0}


def run_job(out: Path, record: Record, name: str, seed: int) -> bool:
    """Finish one run; True if the record did not have it."""
    if str(seed) in record.get(name, {}).get("runs", {}):
        return False
    print(f"{name}: seed {seed}", flush=True)
    row = ROWS[name]
    options = [*row.options, f"--seed_everything={seed}"]
    run = finish(row_folder(out, name) / f"seed{seed}", row.config, options, test=True)
    add_run(record, name, str(seed), NO_SEARCH, run)
    metrics = record[name]["runs"][str(seed)]["metrics"]
    if row.config == LM_CONFIG:
        metrics["test/bound"] = sentence_nll(run)
    if row.section == ADVERSARIAL:
        metrics.update({f"test/{key}": value for key, value in code_figures(run, seed).items()})
    return True


@torch.no_grad()
def sentence_nll(run: Path) -> float:
    """Return a language model's nats per sentence, on the test sentences that the bounds are of."""
    source = resolve_source(str(run))
    data: Any = build_data(source.data)
    data.prepare_data()
    data.setup("test")
    tokens, lengths = data.test_sequences()
    rows = spread(len(tokens), SENTENCES)
    parts = (source.model.generator.log_prob(tokens[part], lengths[part]).sum() for part in rows.split(200))
    return -float(sum(parts)) / len(rows)


def write(record: Record) -> None:
    """Write record, page and picture."""
    write_record(RECORD, record, ROWS, page, draw)


def main() -> None:
    """Run the command line."""
    jobs = partial(seeds_of_rows, seeds=SEEDS)
    run_command(str(__doc__), "runs/textvae", list(ROWS), jobs, (run_job,), read_record(RECORD), write)


if __name__ == "__main__":
    main()
