"""The contract, section by section, against a real server in a process of its own."""
