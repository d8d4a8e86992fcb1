//! What the worker reaches the world with: the outbound client, connections, and models. The binary supplies
//! connections, because only it may read secrets.

use std::sync::Arc;

use tl_connect::client::{Client, Connection};

use crate::tenant::Tenant;

/// Finds the connection of a name for a tenant.
pub trait Connections: Send + Sync + 'static {
    /// The connection, or a sentence that says what is missing and which command sets it.
    fn find(&self, tenant: &Tenant, workflow: &str, name: &str) -> Result<Arc<Connection>, String>;

    /// As `find`, with the credential read anew where it lies: the other side has refused the one that is known.
    fn renew(
        &self,
        tenant: &Tenant,
        workflow: &str,
        name: &str,
    ) -> Result<Arc<Connection>, String> {
        self.find(tenant, workflow, name)
    }

    /// The name of the model to ask at a model connection.
    fn model(&self, tenant: &Tenant, workflow: &str, name: &str) -> Option<String>;
}

/// The way out.
#[derive(Clone)]
pub struct Outward {
    /// The one outbound HTTP client.
    pub client: Client,
    /// Connections by name.
    pub connections: Arc<dyn Connections>,
}

impl std::fmt::Debug for Outward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outward")
    }
}
