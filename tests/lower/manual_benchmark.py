"""By hand: `python -m tests.lower.manual_benchmark` times loops as compiled and as lifted and lowered.

Prints the ratio lowered / original of the best of several interleaved runs in one process; 1.00 is the aim.
`strings` shows that building a string in place stays linear: a time for twice as many must be about twice it.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from lineiform.lower.bytecode import roundtrip

SOURCE = r'''
import math
def nbody(n):
    bodies=[([0.0,0.0,0.0],[0.0,0.0,0.0],39.4),([4.8,-1.1,-0.1],[0.6,2.8,-0.02],0.03),([8.3,4.1,-0.4],[-1.01,1.8,0.008],0.01)]
    pairs=[(a,b) for i,a in enumerate(bodies) for b in bodies[i+1:]]
    dt=0.01
    for _ in range(n):
        for (([x1,y1,z1],v1,m1),([x2,y2,z2],v2,m2)) in pairs:
            dx=x1-x2; dy=y1-y2; dz=z1-z2
            mag=dt*((dx*dx+dy*dy+dz*dz)**(-1.5))
            b1m=m1*mag; b2m=m2*mag
            v1[0]-=dx*b2m; v1[1]-=dy*b2m; v1[2]-=dz*b2m
            v2[0]+=dx*b1m; v2[1]+=dy*b1m; v2[2]+=dz*b1m
        for (r,[vx,vy,vz],m) in bodies:
            r[0]+=dt*vx; r[1]+=dt*vy; r[2]+=dt*vz
    return bodies[0][0][0]
class Packet:
    def __init__(self,link,ident,kind):
        self.link=link; self.ident=ident; self.kind=kind; self.datum=0; self.data=[0]*4
    def append_to(self,lst):
        self.link=None
        if lst is None: return self
        p=lst
        nxt=p.link
        while nxt is not None:
            p=nxt; nxt=p.link
        p.link=self
        return lst
class Task:
    def __init__(self): self.q=None; self.count=0; self.waiting=False; self.held=False
    def step(self,pkt):
        if pkt is None:
            self.waiting=True
            return None
        self.waiting=False
        self.q=pkt.append_to(self.q)
        self.count+=1
        if self.count%3==0 and not self.held:
            out=self.q
            self.q=out.link if out else None
            return out
        for i in range(4):
            pkt.data[i]=(pkt.data[i]+self.count)&255
        return None
def richards(n):
    t=[Task() for _ in range(4)]
    for i in range(n):
        p=Packet(None,i,i&1)
        for task in t:
            r=task.step(Packet(None,i,i&1) if i%5 else None)
            if r is not None and isinstance(r,Packet): r.datum+=1
        if i%50==0:
            for task in t: task.q=None
    return sum(x.count for x in t)
def encode(o,out):
    if isinstance(o,str):
        out.append('"'); out.append(o.replace('"','\\\\"')); out.append('"')
    elif o is None: out.append('null')
    elif o is True: out.append('true')
    elif o is False: out.append('false')
    elif isinstance(o,(int,float)): out.append(repr(o))
    elif isinstance(o,(list,tuple)):
        out.append('[')
        first=True
        for x in o:
            if first: first=False
            else: out.append(',')
            encode(x,out)
        out.append(']')
    elif isinstance(o,dict):
        out.append('{')
        first=True
        for k,v in o.items():
            if first: first=False
            else: out.append(',')
            encode(k,out); out.append(':'); encode(v,out)
        out.append('}')
    else:
        raise TypeError(f'{o!r} is not serialisable')
def json_encode(n):
    doc={'a':[1,2.5,None,True,{'x':'y"z'}],'b':{'c':[{'d':i} for i in range(10)]},'e':'text'}
    s=0
    for _ in range(n):
        out=[]
        try:
            encode(doc,out)
            s+=len(''.join(out))
        except TypeError as e:
            s=0
    return s
class Con:
    def __init__(self,a,b,st): self.a=a; self.b=b; self.st=st; self.ok=False
    def choose(self,mark):
        if self.a.mark==mark:
            self.ok = self.b.mark!=mark and self.b.st>self.st
        else:
            self.ok = True if self.b.mark==mark and self.a.st>self.st else False
        return self.ok
    def run(self):
        self.b.val=self.a.val*2+1 if self.a.val<1000 else 0
class Var:
    def __init__(self,v): self.val=v; self.cons=[]; self.mark=0; self.st=5
def deltablue(n):
    vs=[Var(i) for i in range(20)]
    cs=[Con(x,y,1) for x,y in zip(vs,vs[1:])]
    for c in cs: c.a.cons.append(c); c.b.cons.append(c)
    done=0
    for m in range(1,n):
        todo=[c for c in cs if not c.choose(m) or c.ok]
        while todo:
            c=todo.pop()
            if c.ok:
                c.run(); done+=1
                c.b.mark=m
            elif any(k.ok for k in c.a.cons): continue
            else: done-=1
        s=''
        for v in vs: s+=str(v.val)
    return done

def strings(n):
    s = ""
    for i in range(n):
        s += "x"
    return len(s)
'''

WORK = (("nbody", 800), ("richards", 4000), ("json_encode", 300), ("deltablue", 250), ("strings", 100_000),
        ("strings", 200_000))  # fmt: skip


def main() -> None:
    spaces: list[dict[str, Any]] = []
    code = compile(SOURCE, "<workloads>", "exec")
    for each in (code, roundtrip(code)):
        space: dict[str, Any] = {"__name__": "workloads"}
        exec(each, space)
        spaces.append(space)
    print(f"CPython {sys.version.split()[0]}")
    for name, count in WORK:
        functions = [space[name] for space in spaces]
        if functions[0](50) != functions[1](50):
            raise SystemExit(f"{name}: results differ")
        best = [float("inf")] * 2
        for run in range(18):
            which = run % 2
            start = time.perf_counter()
            functions[which](count)
            best[which] = min(best[which], time.perf_counter() - start)
        print(f"{name:12} {count:7} {best[0] * 1e3:8.2f} ms   ratio {best[1] / best[0]:.3f}")


if __name__ == "__main__":
    main()
