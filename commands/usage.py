"""First lines of ``--help``: what people type, before the options that Lightning has besides."""

USAGE = {
    "fit": """gumbelzoo fit --config CONFIGURATION [options]

  gumbelzoo fit --config catvae_digits                     a configuration of `gumbelzoo list`, or a file
  gumbelzoo fit --config catvae_digits --ckpt_path last    resume its newest run
  gumbelzoo fit --config catvae_digits --model.estimator=reinmax
  gumbelzoo fit --config catvae_digits --model.estimator=reinforce --model.estimator.samples=8
  gumbelzoo fit --config catvae_digits --model.optimizer.learning_rate=2e-3 --seed_everything=1
  gumbelzoo fit --config catvae_digits --data.batch_size=50 --trainer.max_epochs=5
  gumbelzoo fit --config catvae_digits --print_config      the whole configuration, defaults included
  gumbelzoo fit --config catvae_digits --model.help        options of the configured model
  gumbelzoo fit --model=vq_vae --data=images --data.name=digits --data.binarization=none
  gumbelzoo list estimator reinforce                       options, facts and paper of a part
""",
    "validate": """gumbelzoo validate --config CONFIGURATION [options]

  gumbelzoo validate --config catvae_digits                    the newest run of a configuration
  gumbelzoo validate --config catvae_digits --ckpt_path last   its last checkpoint
""",
    "test": """gumbelzoo test SOURCE [options]

  gumbelzoo test catvae-mnist               a release: a name, a folder or a hub id
  gumbelzoo test runs/catvae_digits/1       a run, or one of its checkpoints
  gumbelzoo test --config catvae_digits     the newest run of a configuration
""",
}
