# ruff: noqa
# The variable of an inlined comprehension is unbound before and after, also the second time round.
def root(x, env):
    n = 3
    while n:
        n -= 1
        with Manager('w21', suppress=True):
            trace(1, [i36 for i36 in 'ab'[:n]])
            trace(2, {i36: n for i36 in 'ab'})
            if n == x:
                trace(3, i36)
    return n
STEPS = [('call', "2, Env(3, 'a')"), ('call', "0, Env(3, 'a')")]
