# ruff: noqa
# Found in mode specialize on Python 3.13, program seed None.
# schedule: 0
# Globals are those of tests/fuzz/prelude.py; replayed by tests/fuzz/test_corpus.py.
# observation 1
#   CPython:   call (\'raised\', (\'AttributeError\', \'"\\\'int\\\' object has no attribute \\\'append\\\'"\'
#   candidate: call (\'raised\', (\'AttributeError\', \'"\\\'int\\\' object has no attribute \\\'append\\\'"\'
G1 = 255
G2 = 'xyz'
G3 = []
G5 = 0

class Shape7:

    def __init__(self, kept, child):
        pass

    def __call__(self, x, env):
        G3.append(Tracked(21))
thing40 = Shape7(0, 0)
node8 = thing40

def make41(c43, c44, a45, a46):

    def rule(x, *more):
        global G3
        c43(*(not Op('o1', 0), 0))
        G3 = 0
    return rule
node42 = make41(node8, 0, (), 1)
thing59 = node42
node53 = thing59

def make60(c62, c63, c64, cs65, a66, a68):

    def rule(x, env):
        c64(node53(*(0,)))
        G3
    return rule
node61 = make60(node42, 0, node42, (), 0, G2)
root = node61
STEPS = [(), (), (), 0, ('call', "G5, Env(3, 'a')"), 0]