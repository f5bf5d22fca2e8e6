"""What a model is for beside choosing a class: its loss, its targets, and what says how good it is."""
