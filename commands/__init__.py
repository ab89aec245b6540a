"""One small file per command of ``gumbelzoo`` beyond Lightning's own, and what they share."""
