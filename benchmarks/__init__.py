"""The benchmarks: `python -m benchmarks` prints one table of ratios measured in one run.

Everything here also runs under Python 3.9 and without lineiform, so that the same originals can be
measured by an older PyPy. See README.md for what each workload is and how to read the table.
"""
