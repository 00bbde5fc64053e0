# ruff: noqa
# Lowering once read a frame slot before it was written: two managers and a branch inside.
G3 = [1, 2]
def root(x, env):
    with Manager('w1'), Manager('w2', suppress=True) as v:
        if [*G3, x][0]:
            G3[0] = 0
        with Manager('w3') as w, Manager('w4'):
            try:
                trace(1, v)
                env.missing
            except (TypeError, AttributeError) as e:
                trace(2, e)
            trace(3, {0: i for i in G3 if i})
            raise Boom(w)
STEPS = [('call', "1, Env(1, 'a')"), ('call', "0, Env(2, 'n')")]
