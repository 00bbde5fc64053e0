# ruff: noqa
# An exception and what its traceback reaches die when the exception leaves, not later.
def first(kept):
    try:
        0['zz']
    finally:
        with Manager('w', suppress=True):
            raise
def second(kept):
    try:
        0['zz']
    finally:
        try:
            raise
        except* Boom as e21:
            pass
def third(kept):
    try:
        0 % 0
    finally:
        with Manager('w38', suppress=True) as v39:
            0()
def fourth(kept):
    try:
        0['zz']
    finally:
        try:
            pass
        except ValueError as e31:
            pass
        else:
            0 | len('')
        finally:
            trace(2, kept)
def root(x, env):
    (first, second, third, fourth)[x](Tracked(x))
STEPS = [('call', f"{n}, Env({n}, 'a')") for n in range(4)]
