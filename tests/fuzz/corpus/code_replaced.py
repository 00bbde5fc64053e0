# ruff: noqa
# A replaced __code__ of the root, or of a function that it calls, is seen at the next call.
def helper(x, env):
    pass
def make():
    def rule(x, env, **named):
        return helper(x, env)
    return rule
root = make()
STEPS = [
    ('repeat', "2, Env(3, 'n')"),
    ('do', "helper.__code__ = (lambda x, env: trace('code', x)).__code__"),
    ('call', "3, Env(0, 'n')"),
    ('do', "helper.__defaults__ = (7,)"),
    ('do', "helper.__code__ = (lambda x, env=0, k=1: trace('other code', k)).__code__"),
    ('call', "3, Env(0, 'n')"),
]
