# ruff: noqa
# Found in mode specialize on Python 3.13, program seed None.
# schedule: 10
# Globals are those of tests/fuzz/prelude.py; replayed by tests/fuzz/test_corpus.py.
# observation 1
#   CPython:   call ('returned', 'None'); log from event 1: [('del', '22')]
#   candidate: call ('returned', 'None'); log from event 1: []
G1 = 5

def make6(a8, a9):

    def rule(x, env, d13=0):
        trace(14)
    return rule
node7 = make6(G1, 0)

def make15(c17, c18):
    v25 = (v23 := Tracked(22))

    def rule(x, env):
        nonlocal v25
        c17(env=0, x=x)
        v25 = 0
    return rule
node16 = make15(node7, 0)
root = node16
STEPS = [(), (), 0, ('repeat', "-1, Env(2, 'a')")]