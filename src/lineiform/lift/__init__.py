"""Lifters: what a program is made of, translated into the IR, without context and without judgement.

Each sub-package lifts one source language.  Lifters know nothing of lowerings, and never run user code.
"""
