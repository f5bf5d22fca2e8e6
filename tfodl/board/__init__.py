"""`tfodl board`: a board that learns over a serial line, watched from the host."""
