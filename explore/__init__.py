"""A page that shows what a release does and what the temperature does: live on this machine, or as files."""
