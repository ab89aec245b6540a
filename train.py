"""The command line of gumbelzoo (placeholder while the house is being built)."""


def main() -> None:
    """Entry point of the console script ``gumbelzoo``."""
