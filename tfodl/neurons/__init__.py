"""What a model is made of, and what each part costs."""
