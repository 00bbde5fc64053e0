# ruff: noqa
# Found in mode specialize on Python 3.13, program seed 958435875429.
# schedule: 6
# Globals are those of tests/fuzz/prelude.py; replayed by tests/fuzz/test_corpus.py.
# observation 1
#   CPython:   call ('returned', 'None'); log from event 2: [('del', '24')]
#   candidate: call ('returned', 'None'); log from event 2: []
G1 = 0
G2 = 'b'
G4 = {'b': 2}
G5 = 0
0

class Shape6:

    def __init__(self, kept, child):
        pass

    def double():
        pass

    def apply(self, x, env):
        return 10
thing18 = Shape6(0, None)
node7 = thing18.apply

def make19(c21, cd22, a23):

    def rule(x, env):
        nonlocal a23
        v25 = clip(c21(G4.get(x), **{'env': env}))
        v26 = Tracked(27)
        trace(True ^ x or a23.touch())
        (a23 := clip(v26))
    return rule
node20 = make19(node7, {0: node7}, Tracked(24))

def make45(c47, c48, c49, a50):
    trace(51)

    def rule(x, env):
        clip(c48(divmod(a50, 4)[0], env=env))
    return rule
node46 = node20
root = node46
STEPS = [('call',), ('do',), ('call',), ('call',), ('call', "1, Env(0, 'a')")]