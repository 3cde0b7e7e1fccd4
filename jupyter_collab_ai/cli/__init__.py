"""The command line for whoever administers servers: ``jupyter collab-ai …``."""
