//! Timetables: every node that works brings the messages whose instants have come, and each instant brings one.
//!
//! How far a timetable has come is a cursor in the database. A message's unit moves it from one instant to a later one,
//! and its dedupe key is the instant that it moves *from*: of many nodes that look at the same moment one gets away from
//! there, whatever the others' clocks, views or versions are. The unit holds only under the version and the switches that
//! it was decided under, so a timetable that is changed at its own instant brings one message, by the old version or by
//! the new one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use tl_kernel::digest::keyed;
use tl_kernel::id::{EventId, TenantId};
use tl_kernel::limits::DEDUPE_KEEP;
use tl_kernel::payload::parse_json;
use tl_kernel::program::{Channel, Program, Schedule, TIMETABLE};
use tl_kernel::time::{SECOND, duration_text, rfc3339};
use tl_kernel::timetable::SHORTEST;
use tl_kernel::value::Value;
use tl_store::contract::{Refused, Row, Unit};

use crate::admit::{Errand, Message};
use crate::desk::{Desk, DeskError, gate_guard, read_error};
use crate::tenant::Tenant;

/// How often new tenants are looked for, µs.
const LOOK_FOR_TENANTS: i64 = SECOND;
/// What could not be brought is tried again after this, µs.
const AGAIN: i64 = SECOND;
/// Tenants whose timetables are brought at a time, so that a long backlog of one delays no other.
const SIDE_BY_SIDE: usize = 8;

/// Since when a node looks without a pause in which an instant could have been missed.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    /// The first and the last look, µs.
    looks: Mutex<Option<(i64, i64)>>,
}

impl Presence {
    /// Notes a look, whether or not it finds time to bring anything, and says since when there was no pause, µs.
    pub(crate) fn look(&self, now: i64) -> i64 {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let unbroken = looks.filter(|(_, last)| !is_late(*last, now));
        let since = unbroken.map_or(now, |(since, _)| since);
        *looks = Some((since, now));
        since
    }
}

/// The timetables of all tenants, as a node knows them.
pub struct Schedules {
    desk: Desk,
    presence: Arc<Presence>,
    tenants: BTreeMap<TenantId, OfTenant>,
    tenants_at: Option<i64>,
    /// As of which change of the views all of them were looked at.
    views: Option<u64>,
    /// When the first of them is looked at again, µs.
    next: i64,
}

impl std::fmt::Debug for Schedules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Schedules({} tenants)", self.tenants.len())
    }
}

/// The timetables of a tenant.
#[derive(Debug, Default)]
struct OfTenant {
    /// By workflow and name.
    plans: BTreeMap<(String, String), Plan>,
    /// Messages were switched off at this look, the last time that they were, µs.
    off: i64,
    /// When the first of them is looked at again, µs.
    next: i64,
}

/// How a timetable goes on.
#[derive(Debug, Default)]
struct Plan {
    /// When it is looked at again, µs, and the version for which that was worked out.
    at: i64,
    number: u32,
    /// The last instant that was said to be left out, µs.
    left_out: i64,
}

/// A timetable of a view.
struct Here<'a> {
    desk: &'a Desk,
    view: &'a Arc<Tenant>,
    program: &'a Program,
    schedule: &'a Schedule,
    /// Since when somebody has been there to bring it, µs.
    there: i64,
}

/// What became of an instant.
enum Brought {
    /// Its message is in.
    Here,
    /// Another node has gone on from where it would have begun.
    Elsewhere,
    /// It cannot be brought; it is left out.
    Never,
}

impl Schedules {
    /// The timetables at a desk.
    pub fn new(desk: Desk) -> Schedules {
        Schedules {
            desk,
            presence: Arc::default(),
            tenants: BTreeMap::new(),
            tenants_at: None,
            views: None,
            next: i64::MIN,
        }
    }

    /// Where looks are noted while others are still busy with what an earlier one has found.
    pub(crate) fn presence(&self) -> Arc<Presence> {
        Arc::clone(&self.presence)
    }

    /// Brings what is due now, and says how many messages that were. Fails only where the program stops.
    pub async fn bring(&mut self) -> Result<usize, DeskError> {
        if !may_bring(&self.desk) {
            return Ok(0);
        }
        let now = self.desk.now();
        let there = self.presence.look(now);
        if let Err(e) = self.look_for_tenants(now).await {
            tracing::warn!(error = %e, "tenants");
        }
        let views = self.desk.views_read();
        let moved = self.views != Some(views);
        if !moved && now < self.next {
            return Ok(0);
        }
        let desk = &self.desk;
        let due = self.tenants.iter_mut();
        let due = due.filter(|(_, of)| moved || of.next <= now);
        let looks: Vec<_> = due.map(|(id, of)| of.bring(desk, *id, there)).collect();
        let looks = stream::iter(looks).buffer_unordered(SIDE_BY_SIDE);
        let brought = looks.try_fold(0, async |all, n| Ok(all + n)).await?;
        self.views = Some(views);
        let next = self.tenants.values().map(|of| of.next).min();
        self.next = next.unwrap_or(i64::MAX);
        Ok(brought)
    }

    async fn look_for_tenants(&mut self, now: i64) -> Result<(), DeskError> {
        let known = self
            .tenants_at
            .is_some_and(|at| now - at < LOOK_FOR_TENANTS);
        if !known || self.tenants.is_empty() {
            for (id, _) in self.desk.store().tenants().await.map_err(read_error)? {
                self.tenants.entry(id).or_insert_with(|| {
                    self.next = i64::MIN;
                    OfTenant::default()
                });
            }
            self.tenants_at = Some(now);
        }
        Ok(())
    }
}

/// Whether this node begins anything.
fn may_bring(desk: &Desk) -> bool {
    !desk.is_draining() && desk.may_send()
}

impl OfTenant {
    /// Brings what is due, where a node has been there since an instant, µs.
    async fn bring(&mut self, desk: &Desk, id: TenantId, there: i64) -> Result<usize, DeskError> {
        let now = desk.now();
        let view = match desk.tenant(id).await {
            Ok(view) => view,
            Err(e) => {
                tracing::warn!(error = %e, tenant = id.0, "timetables");
                self.next = now + AGAIN;
                return Ok(0);
            }
        };
        self.next = now;
        // While messages are switched off nothing is missed: what is made up for is decided when they are on again.
        if view.ingest_killed() {
            self.off = now;
            return Ok(0);
        }
        let (mut brought, mut next) = (0, i64::MAX);
        for (number, bundle) in view.current.values() {
            for schedule in &bundle.program.schedules {
                let here = Here {
                    desk,
                    view: &view,
                    program: &bundle.program,
                    schedule,
                    there: there.max(self.off),
                };
                let plan = self.plans.entry(here.of()).or_default();
                if plan.number != *number || plan.at <= desk.now() {
                    if !may_bring(desk) {
                        return Ok(brought);
                    }
                    (plan.number, plan.at) = (*number, here.bring(plan, &mut brought).await?);
                }
                next = next.min(plan.at);
            }
        }
        self.next = next;
        Ok(brought)
    }
}

impl Here<'_> {
    /// Takes the timetable from where it is to now, and says when it is to be looked at again, µs. Fails only where the
    /// program stops.
    async fn bring(&self, plan: &mut Plan, brought: &mut usize) -> Result<i64, DeskError> {
        let now = self.desk.now();
        match self.go_on(now, plan, brought).await {
            Err(DeskError::Stopped(s)) => Err(s.into()),
            // Another version or a switch: looked at again with the view as it is now.
            Err(DeskError::Busy) => Ok(now),
            Err(e) => {
                let name = &self.schedule.name;
                tracing::warn!(error = %e, schedule = name, "a timetable cannot go on");
                Ok(now + AGAIN)
            }
            next => next,
        }
    }

    async fn go_on(
        &self,
        now: i64,
        plan: &mut Plan,
        brought: &mut usize,
    ) -> Result<i64, DeskError> {
        let reached = self.reached(now).await?;
        let mut at = reached;
        let due = self.schedule.due(reached, self.there, now);
        if self.view.rows.disabled.contains(&self.schedule.name) {
            // An operator closed it: what comes in the meantime is left out, also when it is opened again.
            if let Some(last) = due.last() {
                self.leave_out(*last).await?;
            }
        } else {
            self.say_left_out(reached, plan);
            self.say_late(&due, now);
            for (n, instant) in due.into_iter().enumerate() {
                match self.admit((at, instant), n).await? {
                    Brought::Here => {
                        *brought += 1;
                        let late = is_late(instant, now);
                        self.count(if late { "late" } else { "in_time" });
                    }
                    Brought::Elsewhere => return Ok(now),
                    Brought::Never => {
                        self.count("refused");
                        self.leave_out(instant).await?;
                        return Ok(now);
                    }
                }
                at = instant;
            }
        }
        let next = self.schedule.table.next_after(now.max(at));
        Ok(next.unwrap_or(i64::MAX))
    }

    /// The instant up to which everything has been dealt with. A timetable of which nothing is known begins now.
    async fn reached(&self, now: i64) -> Result<i64, DeskError> {
        let name = reached_name(&self.program.id, &self.schedule.name);
        let reached = self.desk.store().cursor(self.view.id, name).await;
        match reached.map_err(read_error)? {
            0 => {
                self.leave_out(now).await?;
                Ok(now)
            }
            reached => Ok(reached),
        }
    }

    /// Goes on to an instant without a message.
    async fn leave_out(&self, instant: i64) -> Result<(), DeskError> {
        let mut unit = Unit::new(self.view.id);
        unit.guards.push(gate_guard(self.view));
        unit.rows
            .push(reached_row(&self.program.id, &self.schedule.name, instant));
        match self.desk.commit(unit).await? {
            Ok(_) => Ok(()),
            Err(Refused::GateMoved) => {
                self.desk.reload(self.view.id).await?;
                Err(DeskError::Busy)
            }
            Err(refused) => Err(DeskError::Store(refused)),
        }
    }

    /// Brings the message of an instant, from where the timetable is: the n-th of now.
    async fn admit(&self, at: (i64, i64), n: usize) -> Result<Brought, DeskError> {
        let (workflow, name) = (&self.program.id, &self.schedule.name);
        let errand = Errand {
            view: Arc::clone(self.view),
            rows: vec![
                reached_row(workflow, name, at.1),
                Row::Cursor {
                    name: ran_name(workflow, name),
                    value: at.1,
                },
            ],
        };
        let message = self.message(at, (self.desk.now(), n));
        match self.desk.admit_new(&message, Some(&errand), None).await {
            Ok(Ok(_)) => Ok(Brought::Here),
            Ok(Err(_)) => Ok(Brought::Elsewhere),
            Err(DeskError::Refused(refusal)) => {
                let (code, why) = (refusal.code, refusal.message);
                tracing::warn!(
                    schedule = name,
                    "{code} a timetable's message is refused: {why}"
                );
                Ok(Brought::Never)
            }
            Err(e) => Err(e),
        }
    }

    fn of(&self) -> (String, String) {
        (self.program.id.clone(), self.schedule.name.clone())
    }

    /// A digest of this timetable's own, for one instant.
    fn digest(&self, purpose: &[u8], instant: i64) -> [u8; 32] {
        let (workflow, name) = (self.program.id.as_bytes(), self.schedule.name.as_bytes());
        keyed(
            &self.view.key,
            &[b"schedule", purpose, workflow, name, &instant.to_be_bytes()],
        )
    }

    /// The message of an instant, which takes the timetable from another one to there.
    fn message(&self, (from, instant): (i64, i64), (now, n): (i64, usize)) -> Message {
        let name = &self.schedule.name;
        let payload = self.schedule.body(instant).into_bytes();
        let id = event_id((now, n), self.digest(b"event", instant));
        let body = parse_json(&payload).unwrap_or(Value::Null);
        let text = ["message", "text", "body"].map(|part| body.at(&[part]).cloned());
        let text = text.into_iter().flatten().find(|v| v.as_text().is_some());
        let mut event = BTreeMap::from(
            [
                ("id", Value::text(id.to_string())),
                ("source", Value::text(name)),
                ("endpoint", Value::text(name)),
                ("channel", Value::text(Channel::Schedule.word())),
                ("received_at", Value::Time(now)),
                ("headers", Value::Record(BTreeMap::new())),
                ("body", body),
            ]
            .map(|(part, value)| (part.to_owned(), value)),
        );
        event.extend(text.map(|text| ("text".to_owned(), text)));
        let seed = self.digest(b"seed", instant);
        Message {
            tenant: self.view.id,
            workflow: self.program.id.clone(),
            endpoint: name.clone(),
            event: Value::Record(event),
            id,
            seed: std::array::from_fn(|i| seed[i]),
            keys: vec![self.digest(b"from", from)],
            key_source: TIMETABLE.to_owned(),
            expires: now.saturating_add(DEDUPE_KEEP),
            kid: TIMETABLE.to_owned(),
            received_at: now,
            content_type: "application/json".to_owned(),
            payload,
            answer: None,
            pending: false,
        }
    }

    fn count(&self, outcome: &'static str) {
        let name = &self.schedule.name;
        let telemetry = self.desk.telemetry();
        telemetry.brought(self.program, name, outcome);
    }

    /// Says once that something was missed and is not made up for.
    fn say_left_out(&self, reached: i64, plan: &mut Plan) {
        let from = reached.max(plan.left_out);
        if let Some(last) = self.schedule.left_out(from, self.there) {
            plan.left_out = last;
            tracing::warn!(
                schedule = self.schedule.name,
                catch_up = self.schedule.catch_up.word(),
                "nobody was there when a timetable was due: what it had to bring up to {} is left out",
                rfc3339(last)
            );
        }
    }

    /// Says that something was missed.
    fn say_late(&self, due: &[i64], now: i64) {
        if let Some(first) = due.first().filter(|first| is_late(**first, now)) {
            tracing::warn!(
                schedule = self.schedule.name,
                catch_up = self.schedule.catch_up.word(),
                "a timetable was due {} ago and is made up for with {} now",
                duration_text(now - first),
                match due.len() {
                    1 => "one message".to_owned(),
                    n => format!("{n} messages"),
                }
            );
        }
    }
}

/// Whether so much time has passed since an instant that nobody was there when it came.
fn is_late(instant: i64, now: i64) -> bool {
    now - instant >= SHORTEST
}

/// A time-ordered id (UUIDv7), the n-th of its instant, whose other bits are a digest's.
fn event_id((now, n): (i64, usize), digest: [u8; 32]) -> EventId {
    let ms = (now / 1_000).to_be_bytes();
    let mut id: [u8; 16] = std::array::from_fn(|i| digest[i]);
    id[..6].copy_from_slice(&ms[2..]);
    id[6..8].copy_from_slice(&(0x7000 | (n as u16 & 0x0fff)).to_be_bytes());
    id[8] = 0x80 | id[8] & 0x3f;
    EventId(id)
}

/// Name of the cursor that holds how far a timetable has come.
fn reached_name(workflow: &str, schedule: &str) -> String {
    format!("schedule:{workflow}:{schedule}")
}

/// Name of the cursor that holds the last instant whose message came.
fn ran_name(workflow: &str, schedule: &str) -> String {
    format!("schedule-ran:{workflow}:{schedule}")
}

fn reached_row(workflow: &str, schedule: &str, instant: i64) -> Row {
    Row::Cursor {
        name: reached_name(workflow, schedule),
        value: instant,
    }
}

/// Rows for the unit that puts a version in force at an instant (µs) in the place of another: where its timetables
/// begin. One that was there goes on from where it is. One that is new, or comes back, begins now. One with other fields
/// or another zone begins now as well, but for what was due in this minute: no instant that both versions name gets lost
/// or runs twice.
pub fn begin(old: Option<&Program>, new: &Program, now: i64) -> Vec<Row> {
    let from = |schedule: &Schedule| {
        let before = old.and_then(|old| old.schedule(&schedule.name));
        match before {
            None => Some(now),
            Some(before) if before.table != schedule.table => Some(now - SHORTEST),
            Some(_) => None,
        }
    };
    let all = new.schedules.iter();
    all.filter_map(|s| Some(reached_row(&new.id, &s.name, from(s)?)))
        .collect()
}

/// Where a timetable stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Workflow id.
    pub workflow: String,
    /// The timetable, by the name of its endpoint.
    pub schedule: Schedule,
    /// Its last message was of this instant, µs.
    pub ran: Option<i64>,
    /// The next one will be of this, µs.
    pub next: Option<i64>,
}

/// Where the timetables of a tenant's current versions stand.
pub async fn standing(desk: &Desk, view: &Tenant) -> Result<Vec<Standing>, DeskError> {
    let now = desk.now();
    let mut out = Vec::new();
    for (_, bundle) in view.current.values() {
        let workflow = &bundle.program.id;
        for schedule in &bundle.program.schedules {
            let ran = desk
                .store()
                .cursor(view.id, ran_name(workflow, &schedule.name));
            let ran = Some(ran.await.map_err(read_error)?).filter(|at| *at != 0);
            out.push(Standing {
                workflow: workflow.clone(),
                schedule: schedule.clone(),
                ran,
                next: schedule.table.next_after(now.max(ran.unwrap_or(now))),
            });
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_without_a_pause_was_there() {
        let presence = Presence::default();
        let last = SHORTEST - 1;
        for (now, since) in [
            (10, 10),
            (10, 10),
            (10 + last, 10),
            (10 + 2 * last, 10),
            (10 + 2 * last + SHORTEST, 10 + 2 * last + SHORTEST),
            (10 + 3 * last + SHORTEST, 10 + 2 * last + SHORTEST),
        ] {
            assert_eq!(presence.look(now), since, "at {now}");
        }
    }
}
