"""Live documents: the guarded WebSockets, the gate for each Yjs message, the durable log."""
