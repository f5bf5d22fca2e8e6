"""What a model takes in place of raw sound: features that the board computes itself."""
