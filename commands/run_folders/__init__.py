"""Run folders as they are found, named, locked, read, compared and described by a card."""
