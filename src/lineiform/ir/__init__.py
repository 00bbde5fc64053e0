"""The one intermediate representation: op table, functions, builder, text form, verifier, interpreter.

Nothing here imports another room of the house.
"""
