//! The demo's stage: a project directory, a server, a CRM, and the keys of everybody who plays.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tl_kernel::id::{CaseId, TenantId};
use tl_web::apikey::ApiKeyText;
use tokio_util::sync::CancellationToken;

use super::crm_front::CrmFront;
use super::scene::{Kind, Scene};
use super::sender::Doors;
use crate::app::{App, DEFAULT_TENANT};
use crate::config::{Config, FILE};
use crate::control::{Envelope, Reply, Request, handle};
use crate::failure::Failure;
use crate::serve::{self, Running};
use crate::templates::Template;

/// Says that a directory is a demo's, and where its CRM listens: written before anything else, so that a run that is
/// killed at any moment finds everything where it was.
const MARKER: &str = "demo.json";
/// Where the keys of the players are kept between runs.
const KEYS_FILE: &str = "demo-keys.json";
/// What a file is called until it is whole.
const UNFINISHED: &str = ".part";
/// Where the connection to the CRM finds its credential.
const CRM_TOKEN: &str = "crm.token";

/// What stays the same for all runs in a directory.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Marker {
    crm_port: u16,
    /// What is played here; a directory of an earlier release has leads.
    #[serde(default)]
    template: Template,
}

/// The keys of everybody who plays.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Keys {
    hmac: BTreeMapOfSecrets,
    webhook: String,
    events: String,
    crm: String,
    person: String,
}

type BTreeMapOfSecrets = std::collections::BTreeMap<String, String>;

/// The longest that the CRM's outage lasts.
const OUTAGE: Duration = Duration::from_secs(5);

/// A set stage.
pub struct Stage {
    /// Doors and secrets, for the senders.
    pub doors: Doors,
    /// The demo's tenant.
    pub tenant: TenantId,
    /// The CRM's front door.
    pub crm: CrmFront,
    /// The directory holds an earlier run.
    pub resumed: bool,
    scene: &'static Scene,
    dir: PathBuf,
    temporary: Option<tempfile::TempDir>,
    person: String,
    /// Key id of the credential that the CRM is written with.
    pub crm_kid: String,
    running: Running,
    stop: CancellationToken,
}

impl Stage {
    /// Makes the project, or goes on with the one that is there, and starts the server.
    pub async fn set(keep: Option<PathBuf>, scene: &'static Scene) -> anyhow::Result<Stage> {
        let (dir, temporary) = match keep {
            Some(dir) => (dir, None),
            None => {
                let dir = tempfile::Builder::new()
                    .prefix("throughline-demo-")
                    .tempdir()?;
                (dir.path().to_path_buf(), Some(dir))
            }
        };
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("{} cannot be made", dir.display()))?;
        let marker: Option<Marker> = read_json(&dir.join(MARKER))?;
        let known: Option<Keys> = read_json(&dir.join(KEYS_FILE))?;
        let stop = CancellationToken::new();
        let crm = CrmFront::start(marker.map_or(0, |m| m.crm_port), stop.clone())
            .await
            .context("the demo's CRM cannot listen where it did before")?;
        let crm_port = crm.addr.port();
        if marker.is_none() {
            let template = scene.template;
            let marker = serde_json::to_vec(&Marker { crm_port, template })?;
            write_private(&dir.join(MARKER), &marker)?;
        }
        // Without keys no message was ever sent: what an earlier run wrote may be half of it.
        if known.is_none() {
            write_project(&dir, scene, crm_port)?;
        }
        let mut config = Config::load(&dir, |_| None).map_err(failed)?;
        config.listen_at("127.0.0.1:0".into());
        let running = serve::start(config).await.map_err(failed)?;
        crm.leads_to(format!("http://{}", running.address));
        let resumed = known.is_some();
        let keys = match known {
            Some(keys) => keys,
            None => {
                let keys = make_keys(&running.app, scene).await?;
                write_private(&dir.join(CRM_TOKEN), keys.crm.as_bytes())?;
                write_private(&dir.join(KEYS_FILE), &serde_json::to_vec_pretty(&keys)?)?;
                keys
            }
        };
        let tenant = running.app.desk.tenant_id(DEFAULT_TENANT).await?;
        Ok(Stage {
            doors: Doors {
                base: format!("http://{}", running.address),
                hmac: keys.hmac.clone(),
                webhook: keys.webhook.clone(),
                api_key: keys.events.clone(),
            },
            tenant: tenant.ok_or_else(|| anyhow!("the tenant is missing"))?,
            crm,
            resumed,
            scene,
            dir,
            temporary,
            person: keys.person,
            crm_kid: ApiKeyText::parse(&keys.crm)
                .map_err(|_| anyhow!("the CRM's credential is no key"))?
                .kid()
                .to_owned(),
            running,
            stop,
        })
    }

    /// The server's installation.
    pub fn app(&self) -> &App {
        &self.running.app
    }

    /// The project directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directory outlives the demo.
    pub fn is_kept(&self) -> bool {
        self.temporary.is_none()
    }

    /// A person changes a case's record in the CRM, by hand.
    pub async fn a_person_edits(&self, case: CaseId) -> anyhow::Result<()> {
        let url = format!(
            "{}/v1/records/{}/{case}",
            self.doors.base, self.scene.record
        );
        let http = reqwest::Client::builder().no_proxy().build()?;
        let read = http.get(&url).bearer_auth(&self.person).send().await?;
        let Some(version) = read.headers().get("etag").cloned() else {
            return Ok(());
        };
        let (field, text) = self.scene.edit;
        let edit = json!({ field: text });
        let edited = http
            .patch(&url)
            .bearer_auth(&self.person)
            .header("if-match", version)
            .header("content-type", "application/json")
            .body(edit.to_string())
            .send()
            .await?;
        anyhow::ensure!(
            edited.status() != reqwest::StatusCode::UNPROCESSABLE_ENTITY,
            "the CRM does not know a field `{field}` of {case}"
        );
        Ok(())
    }

    /// Waits until the outage was met so many times, or for a while: a run that goes on may have met it before.
    pub async fn outage_is_met(&self, times: usize) {
        let limit = if self.resumed { OUTAGE / 20 } else { OUTAGE };
        let end = tokio::time::Instant::now() + limit;
        while self.crm.turned_away() < times as u64 && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The one screen about a case.
    pub async fn explain(&self, case: CaseId) -> anyhow::Result<String> {
        let reply = ask(
            self.app(),
            Request::Explain {
                id: case.to_string(),
            },
        )
        .await?;
        match reply {
            Reply::Explanation(e) => Ok(crate::explain::render(&e)),
            _ => Err(anyhow!("no explanation of {case}")),
        }
    }

    /// The link that makes the console's first account; `None` once there is one.
    pub async fn first_sign_in(&self) -> Result<Option<String>, Failure> {
        crate::console::first_sign_in(&self.running.console).await
    }

    /// Stops the server.
    pub async fn end(self) {
        self.stop.cancel();
        self.running.stop().await;
    }

    /// Keeps serving until the terminal says stop.
    pub async fn stay(self) {
        if let Err(e) = tokio::signal::ctrl_c().await {
            tracing::warn!(error = %e, "no signal can be received");
        }
        self.end().await;
    }
}

fn failed(failure: Failure) -> anyhow::Error {
    anyhow!("{failure}")
}

async fn ask(app: &App, request: Request) -> anyhow::Result<Reply> {
    let envelope = Envelope::new(DEFAULT_TENANT, "demo", request);
    handle(app, envelope).await.map_err(failed)
}

/// How the template writes its records, and how the demo does: over HTTP with `If-Match`, as to any CRM.
const BUILT_IN: &str = "    api: records\n    key: \"${case.id}\"\n";
const OVER_HTTP: &str = "    api: rest\n    connection: crm\n    method: PUT\n    path: \"/RECORD/${case.id}\"\n    \
    optimistic_lock: If-Match\n    base_version: read\n    idempotency_header: idempotency-key\n";

fn over_http<'f>(file: &'f [u8], record: &str) -> std::borrow::Cow<'f, [u8]> {
    match std::str::from_utf8(file) {
        Ok(text) if text.contains(BUILT_IN) => {
            let write = OVER_HTTP.replace("RECORD", record);
            text.replace(BUILT_IN, &write).into_bytes().into()
        }
        _ => file.into(),
    }
}

/// The template's project, with the CRM where the demo has it.
fn write_project(dir: &Path, scene: &Scene, crm_port: u16) -> anyhow::Result<()> {
    for (path, bytes) in scene.template.files() {
        let bytes = over_http(bytes, scene.record);
        let to = dir.join(path);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&to, &*bytes)
            .with_context(|| format!("{} cannot be written", to.display()))?;
    }
    let connections = format!(
        "connections:\n  crm: {{ kind: rest, base_url: \"http://127.0.0.1:{crm_port}/v1/records\", auth: bearer, secret: \
         \"file:{CRM_TOKEN}\" }}\n"
    );
    std::fs::write(dir.join("connections.yaml"), connections)?;
    let settings =
        "allow_private_connections = [\"crm\"]\nlog_level = \"error\"\nlog_format = \"text\"\n";
    std::fs::write(dir.join(FILE), settings)?;
    Ok(())
}

async fn make_keys(app: &App, scene: &Scene) -> anyhow::Result<Keys> {
    let (mut hmac, mut webhook) = (BTreeMapOfSecrets::new(), String::new());
    for (door, kind) in scene.doors {
        match kind {
            Kind::Api => {}
            Kind::Partner => webhook = secret(app, door).await?,
            Kind::Json | Kind::Mail | Kind::Form | Kind::File => {
                hmac.insert((*door).into(), secret(app, door).await?);
            }
        }
    }
    Ok(Keys {
        hmac,
        webhook,
        events: key(app, &["events"]).await?,
        crm: key(app, &["records:read", "records:write"]).await?,
        person: key(app, &["records:read", "records:write"]).await?,
    })
}

async fn secret(app: &App, endpoint: &str) -> anyhow::Result<String> {
    let rotate = Request::EndpointRotate {
        endpoint: endpoint.into(),
        overlap: 0,
        secret: None,
    };
    match ask(app, rotate).await? {
        Reply::Secret(s) => Ok(s.secret),
        _ => Err(anyhow!("no secret for {endpoint}")),
    }
}

async fn key(app: &App, scopes: &[&str]) -> anyhow::Result<String> {
    let create = Request::KeyCreate {
        scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
        lives: None,
    };
    match ask(app, create).await? {
        Reply::Key(k) => Ok(k.key),
        _ => Err(anyhow!("no API key")),
    }
}

/// Whether a demo may be played in a directory: in none, an empty one, or one that a demo of the same template has made.
pub fn may_be_used(dir: &Path, template: Template) -> Result<(), Failure> {
    let cannot = |e: std::io::Error| {
        Failure::unreachable(format!("TL0610 cannot read {}: {e}", dir.display()))
    };
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(cannot)?,
    };
    let mut other = None;
    for entry in entries {
        let name = entry.map_err(cannot)?.file_name();
        match name.to_str() {
            Some(MARKER) => return same_demo(dir, template),
            // A demo was killed before it could say that this is its directory.
            Some(name) if name == format!("{MARKER}{UNFINISHED}") => {}
            _ => other = Some(name),
        }
    }
    match other {
        None => Ok(()),
        Some(name) => Err(Failure::conflict(format!(
            "{} is not empty and no demo has made it (there is {}): a demo would write its project over what is there. \
             Choose another directory for --keep",
            dir.display(),
            name.to_string_lossy()
        ))),
    }
}

/// A demo goes on where it began; another one has other messages and another workflow.
fn same_demo(dir: &Path, template: Template) -> Result<(), Failure> {
    // What cannot be read says so when the stage is set.
    let marker: Option<Marker> = read_json(&dir.join(MARKER)).unwrap_or_default();
    match marker.map(|m| m.template) {
        Some(other) if other != template => Err(Failure::conflict(format!(
            "{dir} holds the demo `{}`: go on with `throughline demo {0} --keep {dir}`, or choose another directory",
            other.name(),
            dir = dir.display()
        ))),
        _ => Ok(()),
    }
}

/// A file of the demo's own; `None` where it is not there.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let read = serde_json::from_slice(&bytes);
            Ok(Some(read.with_context(|| {
                format!("{} cannot be read", path.display())
            })?))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(anyhow!("{} cannot be read: {e}", path.display())),
    }
}

/// Writes a file that is there whole, or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_plays_where_nothing_is_or_where_one_has_played() {
        // What lies there, and whether a demo may be played there.
        let table: [(&[&str], bool); 6] = [
            (&[], true),
            (&["demo.json"], true),
            (
                &["demo.json", "throughline.toml", "data/throughline.db"],
                true,
            ),
            (&["demo.json.part"], true),
            (&["throughline.toml", "workflows/lead/workflow.yaml"], false),
            (&["demo.json.part", "notes.txt"], false),
        ];
        for (files, may) in table {
            let dir = tempfile::tempdir().unwrap();
            for file in files {
                let path = dir.path().join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, "x").unwrap();
            }
            let said = may_be_used(dir.path(), Template::Lead);
            assert_eq!(said.is_ok(), may, "{files:?}: {said:?}");
        }
        assert!(may_be_used(Path::new("/nowhere/at/all"), Template::Lead).is_ok());
    }

    #[test]
    fn one_demo_does_not_go_on_as_another() {
        let table = [
            (r#"{"crm_port":1}"#, Template::Lead, true),
            (r#"{"crm_port":1}"#, Template::Ticket, false),
            (
                r#"{"crm_port":1,"template":"ticket"}"#,
                Template::Ticket,
                true,
            ),
            (
                r#"{"crm_port":1,"template":"ticket"}"#,
                Template::Document,
                false,
            ),
        ];
        for (marker, template, may) in table {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(MARKER), marker).unwrap();
            let said = may_be_used(dir.path(), template);
            assert_eq!(said.is_ok(), may, "{marker} {template:?}: {said:?}");
        }
    }
}
