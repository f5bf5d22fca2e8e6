"""What a board gets, and how a host talks to it."""
