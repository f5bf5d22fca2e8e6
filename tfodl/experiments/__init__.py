"""Many trainings side by side, and their pictures."""
