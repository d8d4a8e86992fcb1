use tl_kernel::digest::sha256;
use tl_kernel::effect::*;
use tl_kernel::id::*;
use tl_kernel::journal::*;
use tl_kernel::turn::*;
use tl_store::*;
fn h(a: &str, n: u64) -> [u8; 32] {
    sha256(&[a.as_bytes(), &n.to_le_bytes()])
}
fn id(n: u64) -> [u8; 16] {
    let mut b = [0; 16];
    let ms = 1_700_000_000_000u64 + n / 10;
    b[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
    b[6..].copy_from_slice(&h("id", n)[..10]);
    b[6] = 0x70;
    b[7] = (n % 10) as u8 * 20;
    b
}
fn head(n: u64, seq: u32) -> CaseHead {
    CaseHead {
        state: 2,
        owner: "sales".into(),
        definition: 1,
        opened_at: 1_700_000_000_000_000,
        updated_at: 1_700_000_000_000_000 + n as i64,
        due: None,
        closed: seq == 2,
        open_tasks: 0,
        open_effects: 2 - seq,
        reason: "routed".into(),
        correlation: format!("corr-{:08}-{:012x}", n, n * 77777),
        workflow: "inbound_lead".into(),
    }
}
fn main_turn(n: u64, seq: u32) -> Turn {
    let c = CaseId(id(n));
    let hd: Vec<u8> = h("h", n).repeat(8);
    Turn {
        tenant: TenantId(1),
        case: c,
        sealed: Sealed {
            seq,
            leaf: leaf_hash(&hd),
            head: hd[..if seq == 1 { 250 } else { 160 }].to_vec(),
            body: Some(h("b", n).repeat(16)[..if seq == 1 { 420 } else { 60 }].to_vec()),
        },
        head: head(n, seq),
        effects: vec![],
        tasks: vec![],
        timers: vec![],
        timers_cancelled: vec![],
        natural_keys: vec![],
    }
}
fn u1(n: u64) -> Unit {
    let mut t = main_turn(n, 1);
    t.effects.push(EffectWrite::Plan(Box::new(EffectPlan {
        n: 1,
        kind: EffectKind::Effect,
        action: "crm_upsert".into(),
        connection: "crm".into(),
        class: Class::E2,
        state: EffectState::Dispatching,
        due: 1_700_000_000_000_000,
        valid_until: 1_700_000_900_000_000,
        args: h("a", n).repeat(12)[..380].to_vec(),
        digest: h("d", n),
        key: h("k", n),
        base_version: Some("v0".into()),
        serial_key: Some(h("s", n)),
        born: Some(Born {
            node: 1,
            epoch: 1,
            deadline: 1_700_000_030_000_000,
        }),
    })));
    t.natural_keys.push(h("nk", n));
    let keys = vec![h("k1", n), h("k2", n)];
    let ev = StoredEvent {
        id: EventId(id(n)),
        endpoint: "leads".into(),
        received_at: 1_700_000_000_000_000,
        kid: "k1".into(),
        key_source: "header".into(),
        case: Some(CaseId(id(n))),
        content_type: "application/json".into(),
        payload: h("p", n).repeat(20)[..635].to_vec(),
    };
    Unit {
        tenant: TenantId(1),
        guards: vec![
            Guard::KeysFree {
                endpoint: "leads".into(),
                keys: keys.clone(),
            },
            Guard::NaturalKeysFree {
                workflow: "inbound_lead".into(),
                keys: vec![h("nk", n)],
            },
            Guard::GateAt {
                tenant: 0,
                installation: 0,
            },
            Guard::NodeAt { node: 1, epoch: 1 },
        ],
        turns: vec![t],
        control: vec![],
        rows: vec![Row::Event {
            event: ev,
            keys,
            expires: 1_800_000_000_000_000,
        }],
    }
}
fn u2(n: u64) -> Unit {
    let t = main_turn(n, 2);
    let e = EffectId {
        case: CaseId(id(n)),
        n: 1,
    };
    Unit {
        tenant: TenantId(1),
        guards: vec![Guard::NodeAt { node: 1, epoch: 1 }],
        turns: vec![t],
        control: vec![],
        rows: vec![Row::Effect(EffectChange {
            effect: e,
            from: (EffectState::Dispatching, 1),
            to: EffectState::Succeeded,
            attempt: 1,
            due: 1_700_000_000_000_000,
            hold: "".into(),
            claim: None,
            first_send: Some(1_700_000_000_000_500),
            base_version: None,
            code: "".into(),
            vendor_ref: Some("\"v1\"".into()),
            crashes: 0,
            at: 1_700_000_000_001_000,
        })],
    }
}
#[test]
fn size() {
    let dir = tempfile::tempdir_in("/work/main/target").unwrap();
    let p = dir.path().join("x.db");
    let mut b = Backend::open(&p, &Options::default()).unwrap();
    let total = 40_000u64;
    let mut t1 = 0.0;
    let st = std::time::Instant::now();
    for g in (0..total).step_by(32) {
        let us: Vec<_> = (g..g + 32)
            .map(u1)
            .chain(
                (g.saturating_sub(64)..(g + 32).saturating_sub(64))
                    .filter(|_| g >= 64)
                    .map(u2),
            )
            .collect();
        let s = std::time::Instant::now();
        let a = b.commit(us);
        t1 += s.elapsed().as_secs_f64();
        for x in a {
            x.unwrap();
        }
    }
    let us: Vec<_> = (total - 64..total).map(u2).collect();
    for x in b.commit(us) {
        x.unwrap();
    }
    println!(
        "commit {:.1} us/case, total {:?}",
        t1 * 1e6 / total as f64,
        st.elapsed()
    );
    b.checkpoint().unwrap();
    println!(
        "bytes/case {}",
        std::fs::metadata(&p).unwrap().len() / total
    );
    let c = rusqlite::Connection::open(&p).unwrap();
    let mut s=c.prepare("select name,sum(pgsize)/40000.0,sum(payload)/40000.0,sum(unused)/40000.0 from dbstat group by 1 order by 2 desc").unwrap();
    let mut r = s.query([]).unwrap();
    while let Some(x) = r.next().unwrap() {
        let n: String = x.get(0).unwrap();
        let a: f64 = x.get(1).unwrap();
        let pl: f64 = x.get(2).unwrap();
        let un: f64 = x.get(3).unwrap();
        if a > 0.5 {
            println!("{n:35} {a:7.1} payload {pl:7.1} unused {un:6.1}");
        }
    }
}
