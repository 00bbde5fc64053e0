"""Differential fuzzing of closure programs: plain CPython against a candidate.

A program is the source text of a module that builds a tree of closures (`root`) and a list of `STEPS`:
calls of the root and mutations between them.  The generator draws it from a sequence of choices, so that
a seed, Hypothesis or a recorded sequence can drive it; the observer runs it under CPython and under the
candidate and compares everything a user can see.  It relies on nothing of the compiler but the candidate's
two hooks, and never lets a program touch files, the network or other processes.

Run `python -m tests.fuzz --help` from the root of the checkout; `README.md` here says what is where.
"""
