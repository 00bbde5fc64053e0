# ruff: noqa
# Found in mode roundtrip on Python 3.12, program seed 7001544.
# schedule: 0
# Globals are those of tests/fuzz/prelude.py; replayed by tests/fuzz/test_corpus.py.
# observation 1
#   CPython:   call (\'raised\', (\'OutOfFuel\', "\'out of fuel\'", (\'traceback\', (\'rule\', 24)), (\'contex
#   candidate: call (\'raised\', (\'UnboundLocalError\', \'"cannot access local variable \\\'i15\\\' where it 
G1 = 123456789012345678901234567890
'q\udfffz'
G3 = ''

def counted(step):

    def decorate():
        0

        def wrapper(*args, **kwargs):
            return
        return
    return
0

def make6(a8, a9):

    def rule(x, env):
        3
        while True:
            try:
                trace([x for i15 in G3[:3]][9])
            except LookupError:
                trace(17)

    def change():
        pass
    return rule
node7 = make6(1, G1)

def make34(c36, c37, cd38, a39):

    def rule(x, env):
        0
    return
node35 = node7
root = node35
STEPS = [('call',), ('call', "0, Env(0, 'n')"), ('do',), 0]