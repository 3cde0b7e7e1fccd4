"""What finds faults without a model. Other packages add theirs by an entry point."""
