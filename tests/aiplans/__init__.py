"""Random plans of people who type in, around and across what an AI operation will write.

Meanwhile operations succeed, fail, are cancelled, and the server is killed. Each plan is made of
a seed. ``python -m tests.aiplans --seeds 50 --database postgresql`` plays as many as one likes.
"""
