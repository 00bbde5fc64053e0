# ruff: noqa
# Found in mode specialize on Python 3.11, program seed 219815659529.
# schedule: 8
# Globals are those of tests/fuzz/prelude.py; replayed by tests/fuzz/test_corpus.py.
# observation 1
#   CPython:   call (\'raised\', (\'NameError\', \'"name \\\'G2\\\' is not defined"\', (\'traceback\', (\'rule
#   candidate: call (\'raised\', (\'NameError\', \'"name \\\'G2\\\' is not defined"\', (\'traceback\', (\'rule
G1 = 1
{}
G5 = 1

def logged():
    pass

def node6(x, *more):
    pass

def make64(c66, c67, a68):

    def rule(x, env, d76=G1):
        nonlocal a68
        a68 = Tracked(78)
        v80 = v81 = (lambda p79: G2)(a68.touch(amount=x))
    return rule
node65 = make64(node6, node6, Tracked(69))

def node85(x, env, *more, **named):
    pass

def make88(c90, a91):

    def rule(x, env, d92=a91):
        v93 = clip(node65(G5, env))
    return rule
node89 = make88(node85, G1)
root = node89
STEPS = [('call', "3, Env(2, 'a')"), ('call', "3, Env(2, 'n')"), ('call', "4, Env(3, 'a')"), ('do', 'G5 = -0.0'), ('call', "3, Env(3, 'a')"), ('do', 'G5 = G5'), ('call', "2, Env(0, 'a')")]