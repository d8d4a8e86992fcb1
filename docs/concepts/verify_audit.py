#!/usr/bin/env python3
"""Verifies an audit export with nothing but the standard library: every leaf, and the root and signature of
every checkpoint. usage: verify_audit.py EXPORT.jsonl [CHECKPOINTS.txt [PUBLIC_KEY]]
Give the checkpoint file and the key that were kept elsewhere: those inside the export prove nothing about its maker."""
import base64, hashlib, json, sys

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

def sha(*parts): return hashlib.sha256(b"".join(parts)).digest()

def point(raw):  # Ed25519 (RFC 8032): a compressed point in extended coordinates
    y = int.from_bytes(raw, "little"); sign, y = y >> 255, y & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P: x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P: raise ValueError("not a point")
    return (x if x & 1 == sign else P - x, y, 1, (x if x & 1 == sign else P - x) * y % P)

def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * D * p[3] * q[3], 2 * p[2] * q[2]
    return ((b - a) * (d - c) % P, (d + c) * (b + a) % P, (d - c) * (d + c) % P, (b - a) * (b + a) % P)

def times(n, p):
    q = (0, 1, 1, 0)
    while n: q, p, n = add(q, p) if n & 1 else q, add(p, p), n >> 1
    return q

def signed(key, text, sig):
    s, base = int.from_bytes(sig[32:], "little"), point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    h = int.from_bytes(hashlib.sha512(sig[:32] + key + text).digest(), "little") % L
    a, b = times(s, base), add(point(sig[:32]), times(h, point(key)))
    return len(sig) == 64 and s < L and (a[0] * b[2] - b[0] * a[2]) % P == 0 == (a[1] * b[2] - b[1] * a[2]) % P

def fail(why): sys.exit(f"FAILED: {why}")

rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8") if line.strip()]
about = rows[0] if rows and rows[0].get("kind") == "audit" else fail("this is no export of an audit")
key, points = bytes.fromhex(about["public_key"]), [r for r in rows if r["kind"] == "checkpoint"]
if len(sys.argv) > 3 and sys.argv[3] != about["public_key"]: fail("the export names another public key")
if len(sys.argv) > 2:  # blocks of four lines: origin, size, root, signature
    blocks = [b.split("\n") for b in open(sys.argv[2], encoding="utf-8").read().strip().split("\n\n")]
    points += [dict(size=int(b[1]), root=b[2], signature=b[3]) for b in blocks if b[0] == "throughline/" + about["tenant"]]
due, roots, n = {c["size"]: [] for c in points}, [], 0
for c in points: due[c["size"]].append((c["root"], c["signature"]))
for turn in (r for r in rows if r["kind"] == "turn"):
    leaf = sha(b"\0", base64.b64decode(turn["head"], validate=True))
    if leaf.hex() != turn["leaf"]: fail(f"position {n}: the head does not give the leaf")
    bits, n = n, n + 1
    while bits & 1: leaf, bits = sha(b"\1", roots.pop(), leaf), bits >> 1
    roots.append(leaf); top = roots[-1]
    for left in roots[-2::-1]: top = sha(b"\1", left, top)
    for root, sig in due.pop(n, []):
        text = f"throughline/{about['tenant']}\n{n}\n{root}\n".encode()
        if top.hex() != root: fail(f"the first {n} turns do not give the checkpoint's root: one was changed, dropped or added")
        if not signed(key, text, bytes.fromhex(sig)): fail(f"the checkpoint at {n} is not signed by this key")
if due: fail(f"the export has {n} turns, a checkpoint has {max(due)}: turns are missing at the end")
last = max([c["size"] for c in points], default=0)
print(f"OK: {n} turns, {len({c['size'] for c in points})} checkpoints, {n - last} turns after the last one")
