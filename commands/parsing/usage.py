"""``--help`` of fit, validate and test: what people type, then every option."""

from __future__ import annotations

from ..documentation.layout import option_lines, word, wrap
from .command_line import SECTIONS
from .options import Options

USAGE = {
    "fit": """gumbelzoo fit --config CONFIGURATION [options]

  gumbelzoo fit --config catvae_digits                     a configuration of `gumbelzoo list`, or a file
  gumbelzoo fit --config catvae_digits --ckpt_path last    resume its newest run
  gumbelzoo fit --config catvae_digits --name wide --model.latents=40    the run runs/catvae_digits/wide
  gumbelzoo fit --config catvae_digits --model.estimator=reinmax
  gumbelzoo fit --config catvae_digits --model.estimator=reinforce --model.estimator.samples=8
  gumbelzoo fit --config catvae_digits --model.optimizer.learning_rate=2e-3 --seed_everything=1
  gumbelzoo fit --config catvae_digits --data.batch_size=50 --trainer.max_epochs=5
  gumbelzoo fit --config catvae_digits --ema=0.999         evaluate and keep averages of the weights
  gumbelzoo fit --config catvae_digits --print_config      the whole configuration, defaults included
  gumbelzoo fit --config catvae_digits --help              this page, with the options of its model and data
  gumbelzoo fit --config catvae_digits --model.help        the same with the types that the parser takes
  gumbelzoo fit --model=vq_vae --data=images --data.name=digits --data.binarization=none
  gumbelzoo list estimator reinforce                       options, facts and paper of a part
""",
    "validate": """gumbelzoo validate SOURCE ... [options]

  gumbelzoo validate runs/catvae_digits/1                      a run, a release, or several
  gumbelzoo validate --config catvae_digits                    the newest run of a configuration
  gumbelzoo validate --config catvae_digits --ckpt_path last   its last checkpoint
""",
    "test": """gumbelzoo test SOURCE ... [options]

  gumbelzoo test catvae-mnist               a release: a name, a folder or a hub id
  gumbelzoo test runs/catvae_digits/1       a run, or one of its checkpoints; several in a table
  gumbelzoo test --config catvae_digits     the newest run of a configuration
  gumbelzoo test vqvae-mnist --fid features-mnist --fid_samples 10000    Frechet distances as well
""",
}


def page(options: Options) -> str:
    """Return usage and the options of each section: of model and data where they are chosen, else their names."""
    lines = [f"usage: {USAGE[options.line.command]}", "options", *option_lines(options.general, "--")]
    for section in SECTIONS:
        entry = options.entry((section,))
        names = ", ".join(sorted(options.classes(section).entries))
        kind = word(options.classes(section).name)
        lines += ["", section, *wrap(f"one of {names}; `list {kind} NAME` tells its options", f"  --{section}: NAME  ")]
        lines += option_lines(options.of((section,), entry), f"--{section}.") if entry else []
    lines += ["", "trainer: of Lightning; `--trainer.callbacks.help NAME` tells the options of a callback"]
    return "\n".join([*lines, *option_lines(options.trainer, "--trainer.")])
