#!/usr/bin/env python3
"""Verifies an audit export with nothing but the standard library: every leaf, what is spelled out beside it, and the
root and signature of every checkpoint. The time beside a checkpoint is not signed. usage: verify_audit.py EXPORT.jsonl [CHECKPOINTS.txt [PUBLIC_KEY]]
Give the checkpoint file and the key that were kept elsewhere: those inside the export prove nothing about its maker."""
import base64, datetime, hashlib, json, sys

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

# What a head holds, by the numbers of its fields: "name:form"; "-" is left out of the export.
ENTRIES = """opened | event n id:evt endpoint key_source matched_key correlation | fields_set count | rule rule line
| table_row table line | table_miss table | moved from to reason owner due:time | assigned owner reason
| asked effect model | answered said | ask_failed effect reason said | decided decided | planned planned
| approved effect digest:hex | settled effect state:state attempts code evidence
| task_opened task kind owner reason due:time effect | task_closed task decision reason
| timer_set timer kind:timer due:time | timer_ended timer fired | sla state met due:time | refused action code
| control action object detail | conflict effect round kept | goal met due:time | left_out part why
| not_evaluated part line why"""
NESTED = dict(
    said="effect model prompt:hex input:hex output:hex confidence_thousandths tokens took_us repairs",
    decided="branch line confidence_thousandths threshold_thousandths policy_allows needs_human - error",
    planned="effect - action class:class verdict:verdict policy_line digest:hex state:state replaces unvouched:flag")
WORDS = {"class": "E0 E1 E2 E3 E4 E5", "verdict": "never approve auto", "state": "planned ready dispatching "
         "awaiting_callback uncertain succeeded failed superseded cancelled expired dead"}
ACTORS = ["engine", "endpoint id key", "api_key id", "user id", "model id", "operator_cli id"]

def item(b, i=0):  # CBOR (RFC 8949), as much of it as heads hold: the item at a place, and where the next one begins
    major, n = b[i] >> 5, b[i] & 31; i += 1
    if major == 7: return {20: False, 21: True, 22: None}[n], i
    if n > 23: size = 1 << (n - 24); n, i = int.from_bytes(b[i:i + size], "big"), i + size
    if major < 2: return (n if major == 0 else -1 - n), i
    if major < 4: return (b[i:i + n] if major == 2 else b[i:i + n].decode()), i + n
    out = []
    for _ in range(n): one, i = item(b, i); out.append(one)
    return out, i

def number(prefix, raw):  # 16 bytes in Crockford's base 32
    n = int.from_bytes(raw, "big")
    return prefix + "_" + "".join("0123456789abcdefghjkmnpqrstvwxyz"[n >> 5 * i & 31] for i in reversed(range(26)))

def written(field, form):
    if form == "flag": return bool(field)
    if field is None or not form: return field
    if form == "time" and field > 253402207200000000: return str(field)  # beyond the calendar
    if form == "time":
        at = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=field)
        return at.isoformat(timespec="microseconds") + "Z"
    if form in ("evt", "case"): return number(form, field)
    if form == "hex": return field.hex()
    if form == "timer": return ["warn", "breach", "escalate", "goal"][field[0]] + "".join(f"({n})" for n in field[1])
    return WORDS[form].split()[field]

def spell(names, fields):
    out = {}
    for i, name in enumerate(names.split()):
        field, (name, form) = fields[i] if i < len(fields) else None, (name.split(":") + [""])[:2]
        if name in NESTED: out.update(spell(NESTED[name], field) if field is not None else {})
        elif name != "-": out[name] = written(field, form)
    return out

def spelled(head):
    about = [one.split() for one in ENTRIES.split("|")]
    entries = [dict(spell(" ".join(about[e[0]][1:]), e[1]), what=about[e[0]][0]) for e in head[10]]
    kind, *names = ACTORS[head[6][0]].split()
    return dict(at=written(head[5], "time"), case=number("case", head[2]) if any(head[2]) else None, turn=head[3],
                actor=dict(spell(" ".join(names), head[6][1]), kind=kind), correlation=head[7], definition=head[8],
                policy=head[9], entries=entries)

def plain(value): return json.dumps(value, sort_keys=True)

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
    head = base64.b64decode(turn["head"], validate=True); leaf = sha(b"\0", head)
    if leaf.hex() != turn["leaf"]: fail(f"position {n}: the head does not give the leaf")
    says, line = spelled(item(head)[0]), {k: v for k, v in turn.items() if k not in ("kind", "leaf", "head")}
    other = [k for k in sorted({*says, *line}) if k not in line or k not in says or plain(says[k]) != plain(line[k])]
    if other: fail(f"position {n}: what stands beside the head is not what it says: {', '.join(other)}")
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
