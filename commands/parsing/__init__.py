"""What is typed and what configurations say: names, sections, parts, options, and their errors in one line."""
