# ruff: noqa
# Found in mode specialize on Python 3.13, program seed 958435875431.
# schedule: 8
# Globals are those of tests/fuzz/prelude.py; replayed by tests/fuzz/test_corpus.py.
# observation 1
#   CPython:   call (\'raised\', (\'TypeError\', \'"\\\'int\\\' object is not callable"\', (\'traceback\', (\'
#   candidate: call (\'raised\', (\'TypeError\', \'"\\\'int\\\' object is not callable"\', (\'traceback\', (\'
def function6(c, k, x, env):
    with Manager('w8') as v9:
        v10 = Tracked(13)
    if 0(v10):
        pass
node7 = partial(function6, None, 0)

def make34(c36, c37, c38, a39, a40):

    def rule(x, env):
        return c38(0, env=0)
    return rule
node35 = make34(0, 0, node7, 123456789012345678901234567890, 3)
root = node35
STEPS = [('call', "3, Env(0, 'n')")]