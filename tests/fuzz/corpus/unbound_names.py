# ruff: noqa
# The error for an unbound local names the variable that was read, not another unbound one.
def first(x, env):
    match x:
        case {'n': b14}:
            v24 = 0
    return v24
def second(x, env):
    del x
    del env
    del nothing_bound
def third(x, env):
    try:
        pass
    except ValueError as e13:
        pass
    except KeyError as e15:
        pass
    finally:
        trace(1, e15)
def fourth(x, env):
    if b'':
        assert 1, (v33 := 'ab')
        v35 = 0
    return v35
def fifth(x, env):
    try:
        v13, v14 = 0
    finally:
        if v14:
            pass
def root(x, env):
    (first, second, third, fourth, fifth)[x](x, env)
STEPS = [('call', f"{n}, Env({n}, 'a')") for n in range(5)]
