//! Which requests are admitted, in two layers. [`authenticate`] is the outermost: it decides whom a
//! request is for before the server span begins, so that no span ever carries a tenant that the
//! caller made up. [`require_identity`] is the innermost: it refuses requests without an identity,
//! inside the span, so that refusals are traced as well. What a key is and when it is valid is in
//! [`crate::keys`].

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::error::Problem;
use crate::keys::access::{Access, Caller};
use crate::keys::identity::{Claimed, Identity};
use crate::ledger::RecordedTenants;
use crate::telemetry::Instruments;
use crate::telemetry::spans::baggage::Baggage;

/// Adds the caller, its baggage and, if it is admitted, its identity to the request's extensions.
/// Later layers and handlers read these, and never the headers they come from.
pub async fn authenticate(
    State((access, tenants, instruments)): State<(Access, RecordedTenants, Instruments)>,
    mut request: Request,
    next: Next,
) -> Response {
    let baggage = instruments.baggage(request.headers());
    // The page makes requests in this process, for a caller that it has authenticated already.
    let known = request.extensions().get::<Caller>().cloned();
    let caller = known.unwrap_or_else(|| access.caller(request.headers()));
    let claimed = Claimed {
        tenant_id: baggage.tenant_id(),
        user_id: baggage.user_id(),
    };
    let identity = Identity::of(&caller, claimed).map(|identity| Identity {
        tenant_id: tenants.name_of(&identity.tenant_id),
        ..identity
    });
    let extensions = request.extensions_mut();
    if let Some(identity) = identity {
        extensions.insert::<Identity>(identity);
    }
    extensions.insert(caller);
    extensions.insert::<Baggage>(baggage);
    next.run(request).await
}

/// Refuses a request without an identity before its body is read and a permit is acquired. The
/// problem does not say what is wrong with the key.
pub async fn require_identity(request: Request, next: Next) -> Response {
    match request.extensions().get::<Identity>() {
        Some(_) => next.run(request).await,
        None => Problem::unauthorized().into_response(),
    }
}
