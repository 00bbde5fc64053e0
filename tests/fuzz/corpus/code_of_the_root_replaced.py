# ruff: noqa
# A replaced __code__ of the root itself is seen at the next call.
def root(*more):
    pass
STEPS = [
    ('repeat', "-1, Env(0, 'a')"),
    ('do', "root.__code__ = (lambda x, env: trace('code', x)).__code__"),
    ('call', "2, Env(1, 'n')"),
]
