# ruff: noqa
# The traceback of a context shows the function that raised it, inlined or not.
G4 = {}
class Shape6:
    def apply(self, x, env):
        with Manager('w15', suppress=x > 1):
            try:
                trace(29, G4['zz'])
            except KeyError:
                env.missing
        return x
thing30 = Shape6()
def make(c):
    def rule(x, env):
        return c(x, env)
    return rule
root = make(thing30.apply)
STEPS = [('call', "1, Env(4, 'a')"), ('call', "2, Env(4, 'a')")]
