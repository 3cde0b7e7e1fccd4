"""What is shared, with whom, in which role."""
