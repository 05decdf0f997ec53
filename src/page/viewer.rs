//! Who looks at the page, and as which tenant. Without API keys everyone may read, and the parameter
//! `tenant` of the URL chooses the tenant. `session` decides who the caller is.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::domain::tenant::{self, TENANT};
use crate::keys::access::Caller;
use crate::keys::identity::{Claimed, Identity};
use crate::page::PageState;
use crate::page::failure::Failure;

/// The person who looks at the page.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    /// As whom the API is asked.
    pub(crate) caller: Caller,
    /// The address from which this person connects, for the spans of requests to the API.
    pub(crate) peer: Option<SocketAddr>,
    /// The tenant, the person, and the API key with its roles.
    pub(crate) identity: Identity,
    /// The tenant that the URL names, which every link repeats.
    tenant_in_url: Option<String>,
}

#[derive(Deserialize)]
struct ChosenTenant {
    tenant: Option<String>,
}

impl Viewer {
    /// The tenant that the URL names, for the forms that are sent as a GET.
    pub(crate) fn tenant_in_url(&self) -> Option<&str> {
        self.tenant_in_url.as_deref()
    }

    /// The URL of a view, with parameters, for a link in this person's page.
    pub(crate) fn href(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        let tenant = self
            .tenant_in_url
            .as_deref()
            .map(|tenant| ("tenant", tenant));
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let query: Vec<String> = parameters
            .iter()
            .copied()
            .chain(tenant)
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        match query.is_empty() {
            true => path.to_owned(),
            false => format!("{path}?{}", query.join("&")),
        }
    }

    /// Whether this person chooses the tenant by the URL: no key decides it.
    pub(crate) fn chooses_tenant(&self) -> bool {
        let key = self.identity.api_key.as_ref();
        key.is_none_or(|key| key.tenant_id.is_none())
    }

    /// Whether this person can resolve anything.
    pub(crate) fn has_roles(&self) -> bool {
        let key = self.identity.api_key.as_ref();
        key.is_some_and(|key| !key.roles.is_empty())
    }
}

/// The tenant that the URL names, if any.
fn tenant_in_url(parts: &Parts) -> Result<Option<String>, Failure> {
    let chosen = Query::<ChosenTenant>::try_from_uri(&parts.uri).ok();
    let chosen = chosen.and_then(|Query(chosen)| chosen.tenant);
    let Some(chosen) = chosen.filter(|chosen| !chosen.is_empty()) else {
        return Ok(None);
    };
    match tenant::parse_tenant(&chosen) {
        Some(_) => Ok(Some(chosen)),
        None => {
            let detail = format!("Write {TENANT}.");
            let title = "This is not the name of a tenant";
            Err(Failure::new(StatusCode::BAD_REQUEST, title, detail))
        }
    }
}

impl FromRequestParts<PageState> for Viewer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, page: &PageState) -> Result<Self, Failure> {
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller =
            caller.ok_or_else(|| Failure::internal("the request was not authenticated"))?;
        let tenant_in_url = match &caller {
            Caller::Holder(key) if key.tenant_id.is_some() => None,
            _ => tenant_in_url(parts)?,
        };
        let claimed = Claimed {
            tenant_id: tenant_in_url.as_deref(),
            user_id: None,
        };
        let identity = Identity::of(&caller, claimed);
        let identity = identity.ok_or_else(|| Failure::internal("the caller was refused"))?;
        let tenants = &page.app.agent.ledger.recorded_tenants;
        Ok(Self {
            identity: Identity {
                tenant_id: tenants.name_of(&identity.tenant_id),
                ..identity
            },
            peer: parts.extensions.get().map(|ConnectInfo(peer)| *peer),
            caller,
            tenant_in_url,
        })
    }
}
