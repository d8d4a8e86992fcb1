//! A store on a simulated disk, what must be in it, and seeds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::thread;

use tl_faultdisk::{Dice, FaultDisk};
use tl_kernel::digest::sha256;
use tl_kernel::id::{CaseId, EventId, TenantId};
use tl_kernel::journal::{Sealed, leaf_hash};
use tl_kernel::turn::{CaseHead, StoredEvent, Turn};
use tl_store::{
    Backend, CommitAnswer, Guard, OpenError, Options, Query, Refused, Reply, Row, Unit,
};

pub const PATH: &str = "/tl.db";
const T1: TenantId = TenantId(1);

/// A disk with a store that was opened once and closed in order.
pub fn founded() -> &'static FaultDisk {
    static BASE: OnceLock<FaultDisk> = OnceLock::new();
    BASE.get_or_init(|| {
        let disk = FaultDisk::new(0);
        disk.register("founded");
        drop(open("founded").unwrap());
        disk
    })
}

/// A checkpoint whenever the log has this many pages, so that a short run meets some.
const PAGES: u32 = 60;

pub fn open(vfs: &str) -> Result<Backend, OpenError> {
    open_with(vfs, PAGES)
}

pub fn open_with(vfs: &str, checkpoint_pages: u32) -> Result<Backend, OpenError> {
    Backend::open(Path::new(PATH), &options(vfs, checkpoint_pages))
}

pub fn options(vfs: &str, checkpoint_pages: u32) -> Options {
    Options {
        writer_cache_kib: 256,
        checkpoint_pages,
        vfs: Some(vfs.to_owned()),
        ..Options::default()
    }
}

/// What must be in the store: the turns of each case, and those of which nobody knows.
#[derive(Debug, Default)]
pub struct Model {
    cases: BTreeMap<u64, Vec<Vec<u8>>>,
    /// Case and body of the units of one group that was refused as unavailable: all of them are there, or none.
    unsure: Vec<(u64, Vec<u8>)>,
    /// The last epoch that the store gave to an opener.
    pub epoch: u64,
    pub acknowledged: u64,
}

/// 16 bytes that are never all zero: that would be no case.
fn id(n: u64) -> [u8; 16] {
    let mut bytes = [1; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    bytes
}

fn sealed(seq: u32, body: &[u8]) -> Sealed {
    let head = format!("head {seq}").into_bytes();
    Sealed {
        seq,
        leaf: leaf_hash(&head),
        head,
        // In front of a body stands the kernel's codec.
        body: Some([&[0], body].concat()),
    }
}

fn turn(case: u64, seq: u32, body: &[u8]) -> Turn {
    Turn {
        tenant: T1,
        case: CaseId(id(case)),
        sealed: sealed(seq, body),
        entries: [].into(),
        head: CaseHead {
            state: 0,
            owner: "sales".into(),
            definition: 1,
            opened_at: 1_000,
            updated_at: 1_000 + i64::from(seq),
            due: None,
            closed: false,
            open_tasks: 0,
            open_effects: 0,
            reason: String::new(),
            correlation: format!("corr-{case}"),
            workflow: "lead".into(),
        },
        effects: vec![],
        tasks: vec![],
        timers: vec![],
        timers_cancelled: vec![],
        natural_keys: vec![],
    }
}

/// A unit with the next turn of a case; the first one comes with the message that opened it, and its key.
fn unit(case: u64, seq: u32, body: &[u8]) -> Unit {
    let mut unit = Unit::new(T1);
    unit.turns.push(turn(case, seq, body));
    if seq == 1 {
        let keys = vec![sha256(&[&id(case)])];
        unit.guards.push(Guard::KeysFree {
            endpoint: "leads".into(),
            keys: keys.clone(),
        });
        let event = StoredEvent {
            id: EventId(id(case)),
            endpoint: "leads".into(),
            received_at: 1_000,
            kid: "k1".into(),
            key_source: "header".into(),
            case: Some(CaseId(id(case))),
            content_type: "application/json".into(),
            payload: body.to_vec(),
        };
        unit.rows.push(Row::Event {
            event,
            keys,
            expires: i64::MAX,
        });
    }
    unit
}

impl Model {
    /// Commits a group with up to four units: new cases, and further turns of known ones.
    pub fn commit(&mut self, backend: &mut Backend, dice: &mut Dice) -> Vec<CommitAnswer> {
        assert!(self.unsure.is_empty(), "what is unsure is looked up first");
        let mut group: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for _ in 0..=dice.below(4) {
            let known = self.cases.len() as u64;
            let case = dice.below(known * 2 + 1).min(known + group.len() as u64);
            let mut body = vec![0; dice.below(200) as usize];
            if dice.one_in(5) {
                body.resize(dice.below(9_000) as usize, 0);
            }
            dice.fill(&mut body);
            group.insert(case, body);
        }
        self.commit_group(group, |units| backend.commit(units))
    }

    /// Commits one group, a unit for each case.
    pub fn commit_group(
        &mut self,
        group: BTreeMap<u64, Vec<u8>>,
        commit: impl FnOnce(Vec<Unit>) -> Vec<CommitAnswer>,
    ) -> Vec<CommitAnswer> {
        let units = group
            .iter()
            .map(|(case, body)| unit(*case, self.turns(*case) + 1, body))
            .collect();
        let answers = commit(units);
        for ((case, body), answer) in group.into_iter().zip(&answers) {
            match answer {
                Ok(_) => {
                    self.acknowledged += 1;
                    self.cases.entry(case).or_default().push(body);
                }
                Err(Refused::Unavailable { .. }) => self.unsure.push((case, body)),
                Err(other) => panic!("case {case}: {other}"),
            }
        }
        answers
    }

    fn turns(&self, case: u64) -> u32 {
        self.cases.get(&case).map_or(0, Vec::len) as u32
    }

    /// Compares everything with the store. What was unsure is known afterwards; true when it is there.
    pub fn check(&mut self, backend: &Backend) -> bool {
        assert_eq!(backend.integrity().unwrap(), "ok");
        let unsure = std::mem::take(&mut self.unsure);
        let mut arrived = 0;
        for (case, body) in &unsure {
            if journal(backend, *case).len() as u32 > self.turns(*case) {
                self.cases.entry(*case).or_default().push(body.clone());
                arrived += 1;
            }
        }
        assert!(
            arrived == 0 || arrived == unsure.len(),
            "a group is there whole or not at all: {arrived} of {}",
            unsure.len()
        );
        for (case, bodies) in &self.cases {
            let want: Vec<Sealed> = (1..)
                .zip(bodies)
                .map(|(seq, body)| sealed(seq, body))
                .collect();
            assert!(
                journal(backend, *case) == want,
                "case {case} has {} turns, {} were acknowledged",
                journal(backend, *case).len(),
                want.len()
            );
            let events = match backend.query(Query::Event(T1, EventId(id(*case)))).unwrap() {
                Reply::Events(events) => events,
                other => panic!("{other:?}"),
            };
            assert_eq!(events.len(), 1, "the message of case {case}");
            assert!(
                events[0].1.payload == bodies[0],
                "the payload of case {case}"
            );
        }
        for (case, _) in unsure.iter().filter(|u| !self.cases.contains_key(&u.0)) {
            let event = backend.query(Query::Event(T1, EventId(id(*case)))).unwrap();
            assert!(
                matches!(event, Reply::Events(e) if e.is_empty()),
                "case {case}: half a unit"
            );
        }
        arrived > 0
    }

    /// Opens the store. The epoch must be higher than any that was given before: it fences who had that.
    pub fn open(&mut self, vfs: &str) -> Result<Backend, OpenError> {
        let backend = open(vfs)?;
        assert!(
            backend.epoch() > self.epoch,
            "epoch {} after {}",
            backend.epoch(),
            self.epoch
        );
        self.epoch = backend.epoch();
        Ok(backend)
    }
}

fn journal(backend: &Backend, case: u64) -> Vec<Sealed> {
    let query = Query::Journal(T1, CaseId(id(case)));
    match backend.query(query).unwrap() {
        Reply::Journal(turns) => turns,
        other => panic!("{other:?}"),
    }
}

/// How many seeds: few, or with `TL_LONG=1` many.
pub fn count(few: u64, many: u64) -> u64 {
    tl_trial::size(few, many)
}

/// Says on a panic where it was.
pub struct Where(pub String);

impl Drop for Where {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

/// Runs the seeds on all processors, or the one in `TL_SEED`, and returns what they gave in order.
pub fn seeds<T: Send>(count: u64, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let one = |seed| {
        let _said = Where(format!("seed {seed}: TL_SEED={seed} runs it alone"));
        run(seed)
    };
    if let Ok(seed) = std::env::var("TL_SEED") {
        return vec![one(seed.parse().expect("TL_SEED is a number"))];
    }
    let lanes = thread::available_parallelism().map_or(1, usize::from) as u64;
    let lane = |first: u64| -> Vec<T> {
        let seeds = (first..count).step_by(lanes as usize);
        seeds.map(one).collect()
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..lanes)
            .map(|first| {
                scope.spawn({
                    let lane = &lane;
                    move || lane(first)
                })
            })
            .collect();
        let done = running.into_iter().flat_map(|lane| match lane.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        done.collect()
    })
}
