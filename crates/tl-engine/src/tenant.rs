//! What the engine knows of a tenant: its gate, its programs, its connections. Rebuilt when an epoch moves.

use std::collections::BTreeMap;
use std::sync::Arc;

use tl_connect::model::ClassifySpec;
use tl_kernel::connector::Operation;
use tl_kernel::digest::{Digest, keyed};
use tl_kernel::gate::{Switch, SwitchMode};
use tl_kernel::id::TenantId;
use tl_kernel::program::Program;
use tl_lang::Project;
use tl_store::contract::GateRows;

/// Scope of the switch that stops ingest; effects are not its matter.
pub const INGEST_SCOPE: &str = "ingest";

/// A tenant as of its gate epochs.
#[derive(Debug)]
pub struct Tenant {
    /// Its number.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// Key of its keyed digests.
    pub key: [u8; 32],
    /// The rows of its gate.
    pub rows: GateRows,
    /// Switches that effects obey.
    pub switches: Vec<Switch>,
    /// Flags as a workflow with tenant-scoped flags sees them: the tenant's over the installation's.
    pub flags: BTreeMap<String, bool>,
    /// Flags of the installation alone.
    pub installation_flags: BTreeMap<String, bool>,
    /// The current version of each workflow: its number and its program.
    pub current: BTreeMap<String, (u32, Arc<Bundle>)>,
}

/// A compiled bundle.
#[derive(Debug)]
pub struct Bundle {
    /// The program.
    pub program: Program,
    /// The files it was compiled from.
    pub project: Project,
    /// Their digest.
    pub digest: Digest,
    /// What its classifier is asked.
    pub classify: Option<Arc<ClassifySpec>>,
    /// The operations that it calls, by connector and name.
    operations: BTreeMap<(String, String), Arc<Operation>>,
}

impl Bundle {
    /// A bundle as it is used.
    pub fn new(program: Program, project: Project, digest: Digest) -> Bundle {
        let classify = crate::ask::classify_spec(&program);
        let operations = operations(&program, &project);
        Bundle {
            program,
            project,
            digest,
            classify,
            operations,
        }
    }

    /// An operation that one of its actions calls.
    pub fn operation(&self, connector: &str, name: &str) -> Option<Arc<Operation>> {
        let key = (connector.to_owned(), name.to_owned());
        self.operations.get(&key).cloned()
    }
}

fn operations(program: &Program, project: &Project) -> BTreeMap<(String, String), Arc<Operation>> {
    let mut out = BTreeMap::new();
    for action in &program.actions {
        if let Some(call) = action.call()
            && let Some(mut found) = tl_lang::connector::find(project, &call.connector)
            && let Some(operation) = found.operations.remove(&call.operation)
        {
            let key = (call.connector.clone(), call.operation.clone());
            out.insert(key, Arc::new(operation));
        }
    }
    out
}

impl Tenant {
    /// Builds the view from the store's rows and the current bundles.
    pub fn new(
        (id, name): (TenantId, String),
        key: [u8; 32],
        rows: GateRows,
        current: BTreeMap<String, (u32, Arc<Bundle>)>,
    ) -> Tenant {
        let switches = rows
            .switches
            .iter()
            .filter(|s| s.scope != INGEST_SCOPE)
            .map(|s| Switch {
                scope: s.scope.clone(),
                mode: SwitchMode::parse(&s.mode),
            })
            .collect();
        let of_installation = |own: bool| {
            rows.flags
                .iter()
                .filter(move |(_, _, installation)| *installation == own)
                .map(|(name, value, _)| (name.clone(), *value))
        };
        let installation_flags: BTreeMap<_, _> = of_installation(true).collect();
        let mut flags = installation_flags.clone();
        flags.extend(of_installation(false));
        Tenant {
            id,
            name,
            key,
            switches,
            flags,
            installation_flags,
            current,
            rows,
        }
    }

    /// Ingest is switched off.
    pub fn ingest_killed(&self) -> bool {
        self.rows.switches.iter().any(|s| s.scope == INGEST_SCOPE)
    }

    /// The flags that a program sees.
    pub fn flags_for(&self, program: &Program) -> &BTreeMap<String, bool> {
        if program.tenant_flags {
            &self.flags
        } else {
            &self.installation_flags
        }
    }
}

/// The key of a tenant's keyed digests, from the installation's key.
pub fn tenant_key(installation: &[u8; 32], tenant: TenantId) -> [u8; 32] {
    keyed(installation, &[b"tenant", &tenant.0.to_be_bytes()])
}

/// The files of a project as they are stored: one CBOR map from path to bytes.
pub fn pack(project: &Project) -> Vec<u8> {
    let files: BTreeMap<&str, &minicbor::bytes::ByteSlice> = project
        .files
        .iter()
        .map(|(path, bytes)| (path.as_str(), bytes.as_slice().into()))
        .collect();
    minicbor::to_vec(files).unwrap_or_default()
}

/// Reads packed files back; `None` where the bytes are no bundle.
pub fn unpack(bytes: &[u8]) -> Option<Project> {
    let files: BTreeMap<String, minicbor::bytes::ByteVec> = minicbor::decode(bytes).ok()?;
    Some(Project {
        files: files.into_iter().map(|(p, b)| (p, b.into())).collect(),
    })
}
