//! [W3C Baggage](https://www.w3.org/TR/baggage/) at the edge: which members of a caller's header are
//! accepted, and which baggage the context of a request carries. The identity of a request is
//! decided in `keys::identity`.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderValue};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::context::FutureExt;
use opentelemetry::{Context, KeyValue};
use percent_encoding::percent_decode;

use crate::domain::body::{MAX_ID_CHARS, is_line};
use crate::keys::identity::Identity;
use crate::telemetry::names;
use crate::telemetry::names::attribute::Attribute;

/// The accepted members of a request's baggage, by name: an extension of the request.
#[derive(Clone, Debug, Default)]
pub struct Baggage(BTreeMap<&'static str, String>);

impl Baggage {
    /// Reads the members on the allow-list whose values are within bounds. All header lines are one
    /// list, and of two members with the same name the last one counts.
    ///
    /// The SDK's propagator is not used: it reads only one header line, drops all of it when one
    /// byte is not ASCII, and cuts values at a `=`. Each could attribute a request to the wrong
    /// employee or tenant.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let lines = headers.get_all("baggage").iter().map(HeaderValue::as_bytes);
        let members = lines.flat_map(|line| line.split(|byte| *byte == b','));
        Self(members.filter_map(accepted).collect())
    }

    /// The tenant that the caller names.
    pub fn tenant_id(&self) -> Option<&str> {
        self.get(names::TENANT_ID)
    }

    /// The employee that the caller names.
    pub fn user_id(&self) -> Option<&str> {
        self.get(names::USER_ID)
    }

    fn get(&self, name: Attribute) -> Option<&str> {
        self.0.get(name.key).map(String::as_str)
    }
}

/// The name and the decoded value of a list member; `None` for one that is not on the allow-list, out
/// of bounds, or malformed. A malformed member does not discard the others, which may say whom
/// the request is for.
fn accepted(member: &[u8]) -> Option<(&'static str, String)> {
    let pair = member.split(|byte| *byte == b';').next()?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
    let name = names::FROM_BAGGAGE
        .into_iter()
        .find(|allowed| allowed.key.as_bytes() == key)?;
    if !value.iter().copied().all(may_be_in_value) {
        return None;
    }
    let value = percent_decode(value).decode_utf8().ok()?;
    is_line(&value, MAX_ID_CHARS).then(|| (name.key, value.into_owned()))
}

/// Whether a value may contain a byte: `baggage-octet` of the
/// [grammar](https://www.w3.org/TR/baggage/#definition), and blanks, which not every client encodes.
/// The grammar has no quotes around values, so a quote makes a member malformed.
fn may_be_in_value(byte: u8) -> bool {
    matches!(byte, b' ' | 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

/// The context of the server span: the caller's trace, with the tenant that the service has
/// authenticated in place of the one that the caller claims.
///
/// The employee is added later, by [`as_user`]: the body may name another one, and an attribute
/// that is set twice is exported twice. Without an identity the context carries no baggage at all,
/// so that a search for a tenant does not find requests of callers who are not of this tenant.
pub(crate) fn edge_context(
    identity: Option<&Identity>,
    inbound: &Context,
    baggage: &Baggage,
) -> Context {
    let Some(identity) = identity else {
        return inbound.clone();
    };
    let accepted = [names::SESSION_ID, names::FEATURE_NAME].into_iter();
    let accepted =
        accepted.filter_map(|name| Some(KeyValue::new(name.key, baggage.get(name)?.to_owned())));
    let tenant = names::TENANT_ID.with(identity.tenant_id.clone());
    inbound.with_baggage(accepted.chain([tenant]).collect::<Vec<_>>())
}

/// Runs work for an employee in the current trace, even if the work is spawned: every span of it
/// carries the employee.
pub fn as_user<F: Future>(user_id: &str, work: F) -> impl Future<Output = F::Output> + use<F> {
    let current = Context::current();
    let members = current
        .baggage()
        .iter()
        .map(|(key, (value, _))| KeyValue::new(key.clone(), value.clone()));
    let user = names::USER_ID.with(user_id.to_owned());
    let context = current.with_baggage(members.chain([user]).collect::<Vec<_>>());
    work.with_context(context)
}
