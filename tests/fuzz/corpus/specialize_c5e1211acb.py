# ruff: noqa
# Found in mode specialize on Python 3.13, program seed 4000021.
# schedule: 1
# Globals are those of tests/fuzz/prelude.py; replayed by tests/fuzz/test_corpus.py.
# observation 1
#   CPython:   (\'call\', (\'raised\', (\'TypeError\', \'"\\\'NoneType\\\' object is not callable"\', (\'trace
#   candidate: (\'did not end\',)
G1 = 2 ** 31
G5 = G1
SETTERS = {}

def make6(a8, a9):
    pass
node7 = make6(0, (None, 'b', 3))

def node39(x, env, d40=G5, *more, only=G1):
    pass

def make71(c73, c74, c75, a76):

    def rule(x, env, *more):
        v77 = clip(c74(sum((i78 for i78 in (3, x))), env))
        with Manager('w80', suppress=True), Manager('w81') as v82:
            pass
        try:
            if (v90 := (G2 == 'xyz')):
                raise ValueError(x <= v77, 3)
        except ZeroDivisionError:
            try:
                v98 = v99 = {trace(95, Tracked(96)) if G3 is not G3 else trace(97, G2): i94 if 0.0 != 0.1 else node7(i94, **{'env': env}) for i94 in Steps(1, -1)}
                v100 = clip(G2 + f'{{{G2!r:>6}'[-2:3])
                raise ExceptionGroup('g', [IndexError(0), AttributeError(1)])
            except* (KeyError, Boom) as e101:
                trace(102, e101)
                raise
            for i103, *i104 in zip(G3[:3], tuple((i105 for i105 in range(2)))):
                match repr([b'x', G2]):
                    case [[0], {'b': b106, **b107}, *b108]:
                        v109 = -0.0
                    case int():
                        env.n = c73(node39(*[c74(7, **{'env': env})], **dict(env=env)), env)
                        break
                v77 &= G1 if isinstance(node39(v77, env), tuple) else next((-1 for i110 in env.items[:3]), v77)
                trace(111, (lambda p112: int(G2))(env.n))
            else:
                G3.append(trace(113, Tracked(114)))
                v115 = False
    return rule
node72 = make71(node39, node7, node7, (4,))
root = node72
STEPS = [('call', "-1, Env(2, 'n')"), ('do', 'node7 = lambda x, env: G5'), ('call', "2, Env(1, 'a')"), ('do', 'node72.__defaults__ = (G1,)'), ('call', "1, Env(1, 'a')"), ('call', "-1, Env(0, 'a')"), ('do', "G4.pop('a', 0)"), ('call', "3, Env(2, 'a')")]