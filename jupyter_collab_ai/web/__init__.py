"""HTTP manners: base handler, request validation, error mapping, rate limits, event streams."""
