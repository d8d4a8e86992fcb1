//! Two messages about the same thing at once: who loses the race joins, and every saved answer names the case that
//! its message really came to. A change while a view is being read: nobody goes on with what was true before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tl_connect::fake::Crm;
use tl_engine::admit::{Admitted, Message, SavedAnswer};
use tl_engine::clock::ManualClock;
use tl_engine::desk::Desk;
use tl_engine::tap::{Point, Stopped, Tap};
use tl_kernel::id::{CaseId, EventId};

use crate::control::switch;
use crate::crash::directory;
use crate::flows::TO_CRM;
use crate::world::{Plan, START, TENANT, World, client};

const LEAD: &str = r#"{"email":"ada@example.com","size":7}"#;

/// Admits a rival before each commit of somebody else, until there are no more.
#[derive(Default)]
struct Rivals {
    desk: OnceLock<Desk>,
    waiting: Mutex<Vec<Message>>,
    at_work: AtomicBool,
}

impl Tap for Rivals {
    fn at(&self, point: Point) -> Result<(), Stopped> {
        let ours = self.at_work.load(Ordering::SeqCst);
        let (Some(desk), Point::BeforeCommit, false) = (self.desk.get(), point, ours) else {
            return Ok(());
        };
        let Some(rival) = self.waiting.lock().unwrap().pop() else {
            return Ok(());
        };
        self.at_work.store(true, Ordering::SeqCst);
        let desk = desk.clone();
        let admit = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(desk.admit(rival)).unwrap()
        };
        let admitted = std::thread::spawn(admit).join().unwrap();
        assert!(matches!(admitted, Admitted::Accepted { .. }));
        self.at_work.store(false, Ordering::SeqCst);
        Ok(())
    }
}

fn body(event: EventId, case: Option<CaseId>) -> Vec<u8> {
    format!("{event} {case:?}").into_bytes()
}

#[tokio::test]
async fn a_saved_answer_names_the_case_that_the_message_came_to() {
    // How many rivals come first; whether the message then opens a case, joins the rival's, or waits for its join.
    // The first loss only says whose case it is; three more, and the message is accepted without one.
    let table = [(0, "opens"), (1, "joins"), (3, "joins"), (4, "waits")];
    for (losses, want) in table {
        let dir = tempfile::tempdir().unwrap();
        let rivals = Arc::new(Rivals::default());
        let w = World::open(Plan {
            dir: dir.path(),
            clock: Arc::new(ManualClock::at(START)),
            crm: Arc::new(Crm::start(([127, 0, 0, 1], 0).into()).await.unwrap()),
            client: client(),
            tap: Some(rivals.clone()),
            slots: 8,
            inline: false,
        });
        w.deploy(TO_CRM).await;
        let mut message = w.message("ours", LEAD);
        message.answer = Some(SavedAnswer {
            principal: "caller".into(),
            key: "k".into(),
            fingerprint: [1; 32],
            status: 202,
            body,
            expires: i64::MAX,
        });
        let id = message.id;
        *rivals.waiting.lock().unwrap() = (0..losses)
            .map(|n| w.message(&format!("rival {n}"), LEAD))
            .collect();
        assert!(rivals.desk.set(w.desk.clone()).is_ok());

        let Admitted::Accepted { case, joined } = w.desk.admit(message).await.unwrap() else {
            panic!("{losses} losses: a duplicate");
        };
        let became = match (case, joined) {
            (Some(case), None) if case.0 == id.0 => "opens",
            (Some(case), Some(0)) if case.0 != id.0 => "joins",
            (None, None) => "waits",
            other => panic!("{losses} losses: {other:?}"),
        };
        assert_eq!(became, want, "{losses} losses");
        let saved = w
            .desk
            .store()
            .idempotent(TENANT, "caller".into(), "k".into());
        let saved = saved.await.unwrap().map(|(_, status, body)| (status, body));
        assert_eq!(saved, Some((202, body(id, case))), "{losses} losses");
    }
}

/// Changes, each beside a read of the view that begins a little later than the one before.
const CHANGES: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_was_read_before_a_change_is_not_kept_after_it() {
    let dir = directory();
    let w = World::new(dir.path(), TO_CRM).await;
    // What takes long to read is likelier to be overtaken.
    let mut many = switch(&w, "action:a0", Some("hold"));
    for n in 1..400 {
        many.rows
            .extend(switch(&w, &format!("action:a{n}"), Some("hold")).rows);
    }
    w.desk.commit(many).await.unwrap().unwrap();
    for n in 1..=CHANGES {
        // Set and cleared in turn.
        let change = switch(&w, "everything", (n % 2 == 1).then_some("hold"));
        let desk = w.desk.clone();
        let reading = tokio::spawn(async move {
            for _ in 0..n % 40 * 10 {
                tokio::task::yield_now().await;
            }
            desk.reload(TENANT).await.unwrap();
        });
        w.desk.commit(change).await.unwrap().unwrap();
        w.desk.forget_views();
        reading.await.unwrap();
        let seen = w.desk.tenant(TENANT).await.unwrap().switches.len();
        assert_eq!(seen, 400 + n % 2, "switches seen after change {n}");
    }
}
