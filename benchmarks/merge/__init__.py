"""What becomes of a model's rewrite and a person's edit of the same code at the same time."""
