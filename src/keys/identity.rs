//! Whom a request is for: a tenant and an employee. With API keys the key decides the tenant, and
//! nothing the caller says can change it; the local key alone leaves the tenant to the caller. A key
//! that belongs to a person makes that person the employee of an expense that names none.

use std::sync::Arc;

use crate::domain::expense::ANONYMOUS;
use crate::keys::ApiKey;
use crate::keys::access::Caller;
use crate::spelling;

/// The tenant of a request that names none.
pub const DEFAULT_TENANT: &str = "default";

/// Whom a request is for: an extension of every request that is admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The tenant whose policies and caps apply, in its one spelling.
    pub tenant_id: String,
    /// The employee, unless the body names another: the one that the baggage names, else the person
    /// of the key, else [`ANONYMOUS`].
    pub user_id: String,
    /// The API key of the request; `None` where none is required and the caller has none.
    pub api_key: Option<Arc<ApiKey>>,
}

/// What a caller says about itself. Values outside the accepted bounds are `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claimed<'a> {
    /// The tenant.
    pub tenant_id: Option<&'a str>,
    /// The employee.
    pub user_id: Option<&'a str>,
}

impl Identity {
    /// The person who acts, as a trace names them: that of the key, else the one who is named, else
    /// the employee of the request.
    pub fn actor<'a>(&'a self, named: Option<&'a str>) -> &'a str {
        let holder = self.api_key.as_ref().and_then(|key| key.user_id.as_deref());
        holder.or(named).unwrap_or(&self.user_id)
    }

    /// The identity of a caller; `None` for a refused one, regardless of its claims.
    pub fn of(caller: &Caller, claimed: Claimed<'_>) -> Option<Self> {
        let api_key = match caller {
            Caller::Anonymous => None,
            Caller::Holder(key) => Some(Arc::clone(key)),
            Caller::Refused(_) => return None,
        };
        let decided = api_key.as_ref().and_then(|key| key.tenant_id.as_deref());
        let tenant_id = decided.or(claimed.tenant_id).unwrap_or(DEFAULT_TENANT);
        let holder = api_key.as_ref().and_then(|key| key.user_id.as_deref());
        let user_id = claimed.user_id.or(holder).unwrap_or(ANONYMOUS).to_owned();
        Some(Self {
            tenant_id: spelling::tenant(tenant_id).into_owned(),
            user_id,
            api_key,
        })
    }

    /// The only person whose decisions the caller sees: the user of a key without a role. Such a key
    /// sees what its user handed in or is the employee of; every other caller sees all decisions of
    /// the tenant.
    pub fn own_only(&self) -> Option<&str> {
        let key = self.api_key.as_deref()?;
        key.user_id.as_deref().filter(|_| key.roles.is_empty())
    }
}
