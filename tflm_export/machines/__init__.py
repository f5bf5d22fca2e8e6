"""Where an engine runs: the host, sanitizers, the emulated Cortex-M4F."""
