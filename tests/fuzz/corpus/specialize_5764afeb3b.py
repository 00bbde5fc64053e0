# ruff: noqa
# Found in mode specialize on Python 3.13, program seed 4000058.
# schedule: 2
# Globals are those of tests/fuzz/prelude.py; replayed by tests/fuzz/test_corpus.py.
# observation 1
#   CPython:   call (\'raised\', (\'TypeError\', \'"\\\'int\\\' object does not support the context manager pr
#   candidate: call (\'raised\', (\'NameError\', \'"name \\\'_lru_cache_wrapper\\\' is not defined"\', (\'trac
def make10(c12, cd13, a14, a15):

    def rule(x, env, **named):
        with Manager('w17') as v18:

            @functools.cache
            def f19():
                pass
            with 0:
                pass
    return rule
node11 = make10(0, 0, 0, 0)
root = node11
STEPS = [('call', "-1, Env(3, 'a')")]