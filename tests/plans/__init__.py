"""Random plans against a real server: made from a seed, saved, replayed, cut down.

``python -m tests.plans --help`` says how to run them.
"""
