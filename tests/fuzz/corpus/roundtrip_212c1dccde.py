# ruff: noqa
# Found in mode roundtrip on Python 3.12, program seed 7001008.
# schedule: 0
# Globals are those of tests/fuzz/prelude.py; replayed by tests/fuzz/test_corpus.py.
# observation 1
#   CPython:   call (\'raised\', (\'KeyError\', "\'zz\'", (\'traceback\', (\'rule\', 27)), (\'context\', (\'Ty
#   candidate: call (\'raised\', (\'KeyError\', "\'zz\'", (\'traceback\', (\'rule\', 27)), (\'context\', (\'Ty
False
'q\udfffz'
G3 = []
{'b': 2}

def logged():

    def wrapper(*args, **kwargs):
        pass
    return wrapper

def make6(a8):
    pass
node7 = make6(Tracked(9))

def node30(x):
    pass

def make49(c51, c52, a53, a54):

    def rule(x, env):
        with Manager('w61') as v62:
            try:
                node30(c51(sum(((v66 := v57) for i64 in a53[:3] for i65 in (3, 255))), **{'env': env}), env=env)
            finally:
                try:
                    trace(75, {}['zz'])
                finally:
                    try:
                        trace(76, v66)
                    except (NameError, KeyError, AssertionError) as e77:
                        trace(78, e77)
    return rule
node50 = make49(node30, node7, G3, Tracked(55))
root = node50
STEPS = [('call', "3, Env(2, 'a')"), ('do', 'G5 = 256')]