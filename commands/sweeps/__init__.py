"""Points of a sweep, its file, and the processes that train them."""
