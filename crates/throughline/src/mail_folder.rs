//! Mail from folders of this machine: a maildir, or a folder into which `.eml` files are put. Each file is brought to
//! its door like a message over HTTP and then moved aside. The move comes after the commit: a file that was admitted
//! and not moved is known by its dedupe keys when it is read again, here or on another node.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tl_kernel::time::SECOND;
use tl_web::{Carried, Carrier};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::serve::pause;

/// How often a folder is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// An `.eml` file whose size and time have not changed for so long is complete, µs.
const QUIET: i64 = 2 * SECOND;
/// How long a folder that cannot be read, or a door that takes nothing now, is left alone, µs.
const REST: i64 = 5 * SECOND;
/// Files that are read in one look; the oldest come first.
const BATCH: usize = 200;
/// Names of a folder that are looked through; a folder that is emptied needs no more.
const MOST_NAMES: usize = 50_000;
/// How a message says that it came out of a folder.
const BY: &str = "folder";

/// A folder that is read, and the door to which its mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFolder {
    /// Name of the tenant.
    pub tenant: String,
    /// Name of the endpoint.
    pub endpoint: String,
    /// The folder.
    pub path: PathBuf,
}

impl MailFolder {
    /// Reads `ENDPOINT=FOLDER` or `TENANT/ENDPOINT=FOLDER`; a relative folder lies below `dir`.
    pub fn parse(text: &str, tenant: &str, dir: &Path) -> Option<MailFolder> {
        let (tenant, endpoint, path) = door_and_place(text, tenant)?;
        Some(MailFolder {
            tenant: tenant.to_owned(),
            endpoint: endpoint.to_owned(),
            path: dir.join(path),
        })
    }

    /// Its name among the places that mail is fetched from.
    pub fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn door(&self) -> (&str, &str) {
        (&self.tenant, &self.endpoint)
    }
}

/// Tenant, endpoint and place of `ENDPOINT=PLACE` or `TENANT/ENDPOINT=PLACE`.
pub fn door_and_place<'t>(text: &'t str, tenant: &'t str) -> Option<(&'t str, &'t str, &'t str)> {
    let (door, place) = text.split_once('=')?;
    let (tenant, endpoint) = door.trim().split_once('/').unwrap_or((tenant, door.trim()));
    let place = place.trim();
    let named = !tenant.is_empty() && !endpoint.is_empty() && !place.is_empty();
    named.then_some((tenant, endpoint, place))
}

/// How the places do that mail is fetched from, folders and mailboxes, since this node was started.
#[derive(Debug, Default)]
pub struct Places(Mutex<BTreeMap<String, Health>>);

/// How a place does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Mails that were refused.
    pub refused: u64,
    /// Where to look for the last of them, or why it was refused.
    pub last: String,
    /// Why nothing is read from it now.
    pub trouble: Option<String>,
}

impl Places {
    /// How a place does, by its name in the settings.
    pub fn of(&self, place: &str) -> Health {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(place).cloned().unwrap_or_default()
    }

    /// Counts a refused mail.
    pub fn refused(&self, place: &str, last: String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = all.entry(place.to_owned()).or_default();
        held.refused += 1;
        held.last = last;
    }

    /// Notes why nothing is read, or that it is read again. True where that is news.
    pub fn note(&self, place: &str, trouble: Option<String>) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = all.entry(place.to_owned()).or_default();
        let news = held.trouble != trouble;
        held.trouble = trouble;
        news
    }
}

/// Reads the folders of the settings until it is time to stop.
pub async fn watch(app: Arc<App>, carrier: Carrier, stop: CancellationToken) {
    let mut readers: Vec<Reader> = app.config.mail_folders.iter().map(Reader::new).collect();
    if readers.is_empty() {
        return;
    }
    loop {
        for reader in &mut readers {
            reader.look(&app, &carrier, &stop).await;
        }
        if !pause(LOOK, &stop).await {
            return;
        }
    }
}

/// A folder as it is read.
struct Reader {
    folder: MailFolder,
    seen: BTreeMap<PathBuf, Seen>,
    /// It is left alone until then, µs.
    rests_until: i64,
}

/// An `.eml` file that was not yet complete for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    size: u64,
    modified: Option<SystemTime>,
    /// It has looked so since then, µs of engine time.
    since: i64,
}

/// A file that may be a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    path: PathBuf,
    size: u64,
    modified: Option<SystemTime>,
}

/// Why a look ends before all files are through.
enum Ends {
    /// A person has to do something.
    Trouble(String),
    /// It will go on by itself.
    Waits(&'static str),
}

impl Reader {
    fn new(folder: &MailFolder) -> Reader {
        Reader {
            folder: folder.clone(),
            seen: BTreeMap::new(),
            rests_until: i64::MIN,
        }
    }

    async fn look(&mut self, app: &App, carrier: &Carrier, stop: &CancellationToken) {
        let now = app.desk.now();
        if now < self.rests_until {
            return;
        }
        let ended = self.read(app, carrier, stop).await.err();
        let trouble = ended.map(|why| match why {
            Ends::Trouble(why) => why,
            Ends::Waits(class) => format!("the door takes nothing now ({class}); its mail waits"),
        });
        if trouble.is_some() {
            self.rests_until = now.saturating_add(REST);
        }
        if app.places.note(&self.folder.place(), trouble.clone()) {
            let folder = self.folder.path.display();
            let (tenant, endpoint) = self.folder.door();
            match trouble {
                Some(why) => tracing::warn!(%folder, tenant, endpoint, "mail folder: {why}"),
                None => tracing::info!(%folder, tenant, endpoint, "the mail folder is read"),
            }
        }
    }

    async fn read(
        &mut self,
        app: &App,
        carrier: &Carrier,
        stop: &CancellationToken,
    ) -> Result<(), Ends> {
        let door = self.folder.door();
        let Some(most) = carrier.most(door).await else {
            let why = format!(
                "there is no open door `{}/{}` that takes mail",
                door.0, door.1
            );
            return Err(Ends::Trouble(why));
        };
        let path = self.folder.path.clone();
        let (place, found) = blocking(move || Place::list(&path)).await?;
        let mut ends = Ok(());
        for file in self.complete(&place, found, app.desk.now()) {
            if stop.is_cancelled() {
                return Ok(());
            }
            match self.take(app, carrier, (&place, most, file)).await {
                Ok(()) => {}
                // One file that cannot be read or moved does not stop those behind it.
                Err(trouble @ Ends::Trouble(_)) => ends = ends.and(Err(trouble)),
                Err(waits) => return Err(waits),
            }
        }
        ends
    }

    /// The files that nobody writes any more.
    fn complete(&mut self, place: &Place, found: Vec<Found>, now: i64) -> Vec<PathBuf> {
        if place.maildir {
            return found.into_iter().map(|f| f.path).collect();
        }
        let mut seen = BTreeMap::new();
        let mut out = Vec::new();
        for f in found {
            let before = self.seen.remove(&f.path);
            let same = before.filter(|s| s.size == f.size && s.modified == f.modified);
            let since = same.map_or(now, |s| s.since);
            if now.saturating_sub(since) >= QUIET {
                out.push(f.path.clone());
            }
            let (size, modified) = (f.size, f.modified);
            seen.insert(
                f.path,
                Seen {
                    size,
                    modified,
                    since,
                },
            );
        }
        self.seen = seen;
        out
    }

    /// One file: read, brought to its door, moved aside.
    async fn take(
        &self,
        app: &App,
        carrier: &Carrier,
        (place, most, file): (&Place, u32, PathBuf),
    ) -> Result<(), Ends> {
        let at = file.clone();
        let Some(raw) = blocking(move || content(&at, most)).await? else {
            // Another node has moved it, or it is none any more.
            return Ok(());
        };
        let outcome = carrier.deliver(self.folder.door(), raw, BY).await;
        let refusal = match outcome {
            Carried::Taken { .. } => None,
            Carried::Refused(code, why) => Some(format!("{code} {why}\n")),
            Carried::Later(class) => return Err(Ends::Waits(class)),
            Carried::NoDoor => return Err(Ends::Waits("its door was closed")),
        };
        let refused = refusal.is_some();
        let place = place.clone();
        let moved = blocking(move || place.put_aside(&file, refusal.as_deref())).await?;
        if refused && moved {
            let folder = self.folder.place();
            let last = format!("the reason lies beside each in {folder}/refused");
            app.places.refused(&folder, last);
            tracing::warn!(folder, "a mail was refused; the reason lies beside it");
        }
        Ok(())
    }
}

/// Runs work on files beside the other tasks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Ends> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Ends::Trouble),
        Err(_) => Err(Ends::Trouble("reading it failed".into())),
    }
}

/// A folder as it lies on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    root: PathBuf,
    /// It has `new` and `cur`: what lies in `new` is complete by the rules of a maildir.
    maildir: bool,
}

impl Place {
    /// The files of a folder that may be mails, the oldest first.
    fn list(root: &Path) -> Result<(Place, Vec<Found>), String> {
        let (new, cur) = (root.join("new"), root.join("cur"));
        let place = Place {
            maildir: new.is_dir() && cur.is_dir(),
            root: root.to_owned(),
        };
        let from = if place.maildir { &new } else { &place.root };
        let cannot = |e| cannot("read", from, &e);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(from).map_err(cannot)?.take(MOST_NAMES) {
            let entry = entry.map_err(cannot)?;
            if !place.may_be_mail(&entry.file_name().to_string_lossy()) {
                continue;
            }
            // Not followed where it is a link: nobody who may write here shall have other files read.
            match entry.metadata() {
                Ok(about) if about.is_file() => found.push(Found {
                    path: entry.path(),
                    size: about.len(),
                    modified: about.modified().ok(),
                }),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(cannot(e)),
            }
        }
        found.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
        found.truncate(BATCH);
        if !found.is_empty() {
            place.prepare()?;
        }
        Ok((place, found))
    }

    fn may_be_mail(&self, name: &str) -> bool {
        let ends = name.to_ascii_lowercase().ends_with(".eml");
        !name.starts_with('.') && (self.maildir || ends)
    }

    /// Where files go that are through.
    fn done(&self) -> PathBuf {
        self.root.join(if self.maildir { "cur" } else { "done" })
    }

    fn refused(&self) -> PathBuf {
        self.root.join("refused")
    }

    /// Before anything is read it is certain that it can be moved.
    fn prepare(&self) -> Result<(), String> {
        for dir in [self.done(), self.refused()] {
            std::fs::create_dir_all(&dir).map_err(|e| cannot("make", &dir, &e))?;
        }
        tempfile::tempfile_in(self.done()).map_err(|e| cannot("write to", &self.done(), &e))?;
        Ok(())
    }

    /// Moves a file that is through. False where somebody else has done so.
    fn put_aside(&self, file: &Path, refusal: Option<&str>) -> Result<bool, String> {
        let name = file.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let (dir, name) = match refusal {
            Some(_) => (self.refused(), name),
            // In `cur` a name ends with its flags; none is set, so mail programs show it as unread.
            None if self.maildir && !name.contains(":2,") => (self.done(), format!("{name}:2,")),
            None => (self.done(), name),
        };
        let to = free(&dir, &name);
        if let Some(why) = refusal {
            let mut beside = to.clone().into_os_string();
            beside.push(".reason.txt");
            std::fs::write(&beside, why).map_err(|e| cannot("write", Path::new(&beside), &e))?;
        }
        match std::fs::rename(file, &to) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(cannot("move", file, &e)),
        }
    }
}

/// A name in a directory that is not taken.
fn free(dir: &Path, name: &str) -> PathBuf {
    let mut to = dir.join(name);
    let mut n = 1;
    while to.exists() {
        n += 1;
        to = dir.join(format!("{n}-{name}"));
    }
    to
}

/// The bytes of a file, at most one more than the door takes, so that a longer one is refused there. Nothing where it
/// is gone.
fn content(path: &Path, most: u32) -> Result<Option<Vec<u8>>, String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut raw = Vec::new();
        let file = std::fs::File::open(path)?;
        file.take(u64::from(most) + 1).read_to_end(&mut raw)?;
        Ok(raw)
    };
    match read() {
        Ok(raw) => Ok(Some(raw)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(cannot("read", path, &e)),
    }
}

fn cannot(what: &str, path: &Path, e: &io::Error) -> String {
    let why = match e.kind() {
        ErrorKind::NotFound => "there is no such folder".to_owned(),
        ErrorKind::PermissionDenied => {
            "the account of the server may not; give it the folder".to_owned()
        }
        _ => e.to_string(),
    };
    format!("cannot {what} {}: {why}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "From: a@b.example\n\nx").unwrap();
        }
        dir
    }

    fn names(found: &[Found]) -> Vec<String> {
        let name = |f: &Found| f.path.file_name().unwrap().to_string_lossy().into_owned();
        found.iter().map(name).collect()
    }

    #[test]
    fn a_setting_names_a_door_and_a_folder() {
        #[rustfmt::skip]
        let table = [
            ("mail=/var/mail/in", Some(("default", "mail", "/var/mail/in"))),
            ("mail = in", Some(("default", "mail", "/p/in"))),
            ("acme/mail=in", Some(("acme", "mail", "/p/in"))),
            ("mail=a=b", Some(("default", "mail", "/p/a=b"))),
            ("mail", None),
            ("mail=", None),
            ("=in", None),
            ("/mail=in", None),
        ];
        for (text, want) in table {
            let got = MailFolder::parse(text, "default", Path::new("/p"));
            let got = got.map(|f| (f.tenant, f.endpoint, f.path));
            let want = want.map(|(t, e, p)| (t.to_owned(), e.to_owned(), PathBuf::from(p)));
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn only_what_is_a_mail_by_its_place_and_name_is_listed() {
        let maildir = [
            "new/1.a",
            "new/.hidden",
            "cur/2.b",
            "tmp/3.c",
            "new/dir/4.d",
            "x.eml",
        ];
        let plain = ["1.eml", "2.EML", ".3.eml", "4.eml.part", "done/5.eml", "6"];
        for (made, want) in [(&maildir, vec!["1.a"]), (&plain, vec!["1.eml", "2.EML"])] {
            let dir = folder(made);
            let (_, found) = Place::list(dir.path()).unwrap();
            let mut got = names(&found);
            got.sort();
            assert_eq!(got, want);
        }
        let dir = folder(&["outside"]);
        std::os::unix::fs::symlink(dir.path().join("outside"), dir.path().join("l.eml")).unwrap();
        assert_eq!(Place::list(dir.path()).unwrap().1, []);
        let missing = Place::list(&dir.path().join("none")).unwrap_err();
        assert!(missing.contains("no such folder"), "{missing}");
    }

    #[test]
    fn a_file_is_read_once_it_has_been_quiet() {
        let dir = folder(&["1.eml"]);
        let file = dir.path().join("1.eml");
        let setting = MailFolder::parse("mail=.", "default", dir.path()).unwrap();
        let mut reader = Reader::new(&setting);
        let mut at = |now: i64| {
            let (place, found) = Place::list(dir.path()).unwrap();
            reader.complete(&place, found, now).len()
        };
        assert_eq!([at(0), at(QUIET - 1)], [0, 0]);
        std::fs::write(&file, "From: a@b.example\n\nlonger than before").unwrap();
        assert_eq!([at(QUIET), at(2 * QUIET - 1), at(2 * QUIET)], [0, 0, 1]);
        // What is written in a maildir lies in `tmp` meanwhile.
        let maildir = folder(&["new/1", "cur/0"]);
        let (place, found) = Place::list(maildir.path()).unwrap();
        assert_eq!(Reader::new(&setting).complete(&place, found, 0).len(), 1);
    }

    #[test]
    fn nothing_is_overwritten_and_a_refusal_lies_beside_its_mail() {
        let dir = folder(&["1.eml", "done/1.eml", "refused/1.eml"]);
        let (place, found) = Place::list(dir.path()).unwrap();
        let file = found[0].path.clone();
        assert_eq!(place.put_aside(&file, None), Ok(true));
        assert!(dir.path().join("done/2-1.eml").exists());
        assert_eq!(place.put_aside(&file, None), Ok(false), "it is gone");
        std::fs::write(&file, "x").unwrap();
        assert_eq!(place.put_aside(&file, Some("TL1010 why")), Ok(true));
        let reason = dir.path().join("refused/2-1.eml.reason.txt");
        assert_eq!(std::fs::read_to_string(reason).unwrap(), "TL1010 why");
        assert!(dir.path().join("refused/2-1.eml").exists());

        let maildir = folder(&["new/7.host", "cur/6.host:2,S"]);
        let (place, found) = Place::list(maildir.path()).unwrap();
        assert_eq!(place.put_aside(&found[0].path, None), Ok(true));
        assert!(maildir.path().join("cur/7.host:2,").exists());
    }

    #[test]
    fn no_more_than_the_door_takes_is_read() {
        let dir = folder(&["1.eml"]);
        let file = dir.path().join("1.eml");
        assert_eq!(content(&file, 3).unwrap().unwrap().len(), 4);
        assert_eq!(content(&dir.path().join("2.eml"), 3), Ok(None));
    }
}
