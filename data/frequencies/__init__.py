"""Pictures whose class is hidden in a few frequencies."""
