"""What registries, constructors and options hold, read from source for ``list`` and ``--help``; no torch."""
