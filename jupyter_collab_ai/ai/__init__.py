"""Operations: the model client, analyzers, the debugger and the generator."""
