//! Who a request is for: user and tenant, as W3C Baggage. What a caller sends is taken by an allow-list and within
//! bounds; what the service knows better overwrites it before the first span begins.

use opentelemetry::baggage::{Baggage, BaggageExt};
use opentelemetry::context::FutureExt;
use opentelemetry::{Context, KeyValue};

use crate::domain::expense::ANONYMOUS;
use crate::domain::submission::MAX_ID_CHARS;
use crate::telemetry::names;

/// The tenant of a request that names none.
const DEFAULT_TENANT: &str = "default";

/// Who a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose policies and caps count.
    pub tenant_id: String,
    /// The employee, unless the body names another.
    pub user_id: String,
}

impl Identity {
    /// Reads the identity a caller's baggage gives; values out of bounds count as absent.
    pub(super) fn of(inbound: &Context) -> Self {
        let member = |key| member(inbound.baggage(), key);
        Self {
            tenant_id: member(names::TENANT_ID.key).unwrap_or_else(|| DEFAULT_TENANT.to_owned()),
            user_id: member(names::USER_ID.key).unwrap_or_else(|| ANONYMOUS.to_owned()),
        }
    }

    /// The context of the server span. The user is left out: the body may name another, and an attribute that is set
    /// twice is exported twice.
    pub(super) fn edge_context(&self, inbound: &Context) -> Context {
        let passed_on = [names::SESSION_ID, names::FEATURE_NAME].into_iter();
        let passed_on =
            passed_on.filter_map(|name| Some(KeyValue::new(name.key, member(inbound.baggage(), name.key)?)));
        let tenant = names::TENANT_ID.with(self.tenant_id.clone());
        inbound.with_baggage(passed_on.chain(std::iter::once(tenant)).collect::<Vec<_>>())
    }
}

fn member(baggage: &Baggage, key: &str) -> Option<String> {
    let value = baggage.get(key)?.as_str();
    let fits = !value.trim().is_empty() && value.chars().count() <= MAX_ID_CHARS && !value.contains(char::is_control);
    fits.then(|| value.to_owned())
}

/// Work for a user in the current trace, wherever it is spawned: every span below carries the user.
pub fn as_user<F: Future>(user_id: &str, work: F) -> impl Future<Output = F::Output> + use<F> {
    let current = Context::current();
    let members = current.baggage().iter().map(|(key, (value, _))| KeyValue::new(key.clone(), value.clone()));
    let user = names::USER_ID.with(user_id.to_owned());
    let context = current.with_baggage(members.chain(std::iter::once(user)).collect::<Vec<_>>());
    work.with_context(context)
}
