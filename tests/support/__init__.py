"""What the tests stand on: real databases, real servers, real clients."""
