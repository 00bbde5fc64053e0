# ruff: noqa
# The error for an unbound local of an inlined function names the user's variable.
def node11(x, env):
    v15 = v15
def make65(c67, c68, c69):
    def rule(x, env):
        c68(0, 0)
    return rule
root = make65(0, node11, 0)
STEPS = [('call', "4, Env(4, 'n')")]
