"""What an engine needs to learn from life as it comes: the cut, latents, replay (docs/living.md)."""
