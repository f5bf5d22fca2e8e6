"""What an engine costs, and whether it is right."""
