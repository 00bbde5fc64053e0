# ruff: noqa
# Specialising a rule with a dict comprehension of constants once crashed the interpreter.
G3 = 1
def make(c, a):
    def rule(x, env):
        trace(1, {0: 0 for i31 in 'b' for i32 in '' if False})
        return len({0: len(('b', 3)) for v57 in [a]})
    return rule
root = make(0, G3)
STEPS = [('call', "4, Env(2, 'a')"), ('repeat', "4, Env(4, 'n')")]
