"""Where an engine runs: the host, sanitizers, emulated cores, a Cortex-M4F by default."""
