"""Where every byte lies, and when."""
