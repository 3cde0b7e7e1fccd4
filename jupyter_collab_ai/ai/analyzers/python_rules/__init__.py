"""Faults that can be read off the syntax tree of Python, without running anything.

The modules of this package import the standard library and each other only, relatively: the
worker loads them in a process that knows no other package (see ``worker``).
"""
