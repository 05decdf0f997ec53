//! Who a request is for: user and tenant, as W3C Baggage. What a caller sends is taken by an
//! allow-list and within bounds; what the service knows better overwrites it before the first span
//! begins. A handler gets the identity as an extension of the request.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::HeaderMap;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::context::FutureExt;
use opentelemetry::{Context, KeyValue};
use percent_encoding::percent_decode_str;

use crate::domain::body::{MAX_ID_CHARS, is_line};
use crate::domain::expense::ANONYMOUS;
use crate::keys::ApiKey;
use crate::keys::access::Caller;
use crate::telemetry::names;
use crate::telemetry::names::name::Name;

/// The tenant of a request that names none.
const DEFAULT_TENANT: &str = "default";

/// Members of baggage by name.
pub(super) type Members = BTreeMap<&'static str, String>;

/// Who a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose policies and caps count.
    pub tenant_id: String,
    /// The employee, unless the body names another.
    pub user_id: String,
    /// The key that was shown.
    pub key: Option<Arc<ApiKey>>,
}

impl Identity {
    /// Reads the identity a caller's baggage gives; values out of bounds count as absent. The
    /// tenant of a key goes before any that the caller names. A caller who is refused has none:
    /// what he says of himself is worth nothing.
    pub(super) fn of(caller: &Caller, members: &Members) -> Option<Self> {
        let member = |name: Name| members.get(name.key).cloned();
        let (tenant_id, key) = match caller {
            Caller::Anonymous => (
                member(names::TENANT_ID).unwrap_or_else(|| DEFAULT_TENANT.to_owned()),
                None,
            ),
            Caller::Holder(key) => (key.tenant_id.clone(), Some(Arc::clone(key))),
            Caller::Refused(_) => return None,
        };
        Some(Self {
            tenant_id,
            user_id: member(names::USER_ID).unwrap_or_else(|| ANONYMOUS.to_owned()),
            key,
        })
    }
}

/// The context of the server span. The user is left out: the body may name another, and an
/// attribute that is set twice is exported twice. Without an identity nothing of the caller's
/// baggage is passed on, and no tenant either: any word in its place could be the name of one, and
/// a search for that tenant must not find what strangers tried.
pub(super) fn edge_context(
    identity: Option<&Identity>,
    inbound: &Context,
    members: &Members,
) -> Context {
    let Some(identity) = identity else {
        return inbound.clone();
    };
    let passed_on = [names::SESSION_ID, names::FEATURE_NAME].into_iter();
    let passed_on =
        passed_on.filter_map(|name| Some(KeyValue::new(name.key, members.get(name.key)?.clone())));
    let tenant = names::TENANT_ID.with(identity.tenant_id.clone());
    inbound.with_baggage(passed_on.chain(std::iter::once(tenant)).collect::<Vec<_>>())
}

/// The allowed members of a request's [W3C Baggage](https://www.w3.org/TR/baggage/), by name. Read here and not by the
/// SDK's propagator, which sees one header line only and cuts values at a `=`: both would mix
/// identities up.
pub(super) fn members(headers: &HeaderMap) -> Members {
    let lines = headers
        .get_all("baggage")
        .iter()
        .filter_map(|line| line.to_str().ok());
    let listed = lines.flat_map(|line| line.split(',')).filter_map(|member| {
        let (name, value) = member.split(';').next()?.split_once('=')?;
        let name = names::FROM_BAGGAGE
            .into_iter()
            .find(|allowed| allowed.key == name.trim())?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        is_line(&value, MAX_ID_CHARS).then(|| (name.key, value.into_owned()))
    });
    listed.collect()
}

/// Work for a user in the current trace, wherever it is spawned: every span below carries the user.
pub fn as_user<F: Future>(user_id: &str, work: F) -> impl Future<Output = F::Output> + use<F> {
    let current = Context::current();
    let members = current
        .baggage()
        .iter()
        .map(|(key, (value, _))| KeyValue::new(key.clone(), value.clone()));
    let user = names::USER_ID.with(user_id.to_owned());
    let context = current.with_baggage(members.chain(std::iter::once(user)).collect::<Vec<_>>());
    work.with_context(context)
}
