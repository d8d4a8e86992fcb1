//! Step 2: which door is meant. Everything that does not exist, is closed or could not tell its senders apart
//! gets the same answer for the same work.

use std::sync::Arc;

use tl_kernel::program::{Auth, Channel, Endpoint, Format, Proof};

use crate::intake::{Door, TenantView};
use crate::problem::Problem;
use crate::state::Web;

/// By which address a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// `/hooks/…`: every signed door.
    Hooks,
    /// `/forms/…`: doors that take forms.
    Forms,
    /// `/v1/events`: doors that know bearers.
    Events,
    /// No address of their own: doors that a one-time link or a page of the console leads to.
    Pages,
    /// No address: mail that the installation fetches itself.
    Carried,
}

impl Way {
    fn serves(self, endpoint: &Endpoint) -> bool {
        match self {
            _ if endpoint.auth.iter().any(is_of_a_page) && self != Way::Pages => false,
            Way::Hooks => {
                endpoint.proves_sender()
                    && !matches!(endpoint.channel, Channel::Api | Channel::Schedule)
            }
            Way::Forms => endpoint.format == Format::Form,
            Way::Pages => endpoint.auth.iter().any(is_of_a_page),
            Way::Events => {
                let bearer = |a: &Auth| matches!(a, Auth::ApiKey | Auth::Jwt { .. });
                endpoint.format != Format::Mail && endpoint.auth.iter().any(bearer)
            }
            Way::Carried => endpoint.format == Format::Mail,
        }
    }
}

/// A door that only a page of ours leads to.
fn is_of_a_page(auth: &Auth) -> bool {
    matches!(auth, Auth::Link | Auth::SignIn)
}

/// A door that exists, is open and can tell its senders apart.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) view: Arc<TenantView>,
    pub(crate) name: String,
}

impl Found {
    pub(crate) fn door(&self) -> &Door {
        &self.view.doors[&self.name]
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        let door = self.door();
        &door.program.endpoints[door.endpoint]
    }
}

/// Finds a door by the names of an address.
pub(crate) async fn find(web: &Web, way: Way, tenant: &str, name: &str) -> Result<Found, Problem> {
    let view = web.intake.tenant(tenant).await;
    view.and_then(|view| within(web, view, (way, name)))
        .ok_or_else(Problem::not_found)
}

/// Finds a door of a tenant.
pub(crate) fn within(web: &Web, view: Arc<TenantView>, (way, name): (Way, &str)) -> Option<Found> {
    let door = view.doors.get(name)?;
    let endpoint = door.program.endpoints.get(door.endpoint)?;
    // Who carries mail here was named by the installation's owner.
    let known = way == Way::Carried || can_verify(web, &view, (door, endpoint));
    let open = !door.disabled && way.serves(endpoint) && known;
    open.then(|| Found {
        name: name.to_owned(),
        view: Arc::clone(&view),
    })
}

/// At least one alternative has something to verify with. An expired secret counts: its holder is told 401.
fn can_verify(web: &Web, view: &TenantView, (door, endpoint): (&Door, &Endpoint)) -> bool {
    let events = |scopes: &[String]| scopes.iter().any(|s| s == "events");
    let mut ways = endpoint.auth.iter().enumerate();
    ways.any(|(at, auth)| match (auth, auth.proof()) {
        // A key set that is named may still be on its way: until it is here the sender is asked for patience.
        (_, Proof::KeySet) => true,
        // Our own key signs the page or the link.
        (_, Proof::Page | Proof::Link | Proof::Session) => true,
        (_, Proof::ApiKey) => view.api_keys.values().any(|k| events(&k.scopes)),
        // What a vendor signed of the address cannot be checked without the public one.
        (Auth::Preset(preset), _) if preset.signs_url && web.config.public_url.is_none() => false,
        (_, Proof::Secret) if !door.secrets.is_empty() => true,
        (Auth::Jwt { issuer, .. }, _) => !issuer.is_empty() && door.key_sets.contains_key(&at),
        _ => false,
    })
}
