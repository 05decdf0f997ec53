//! The contract as OpenAPI, and a page to try it. The page's assets are in the binary: no other
//! host is asked.

use std::sync::Arc;

use axum::Router;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::SwaggerUi;

use crate::http::AppState;

/// What the contract says beside its paths, which the handlers describe themselves.
#[derive(OpenApi)]
#[openapi(info(
    title = "expense-agent",
    description = "Decides on expenses: a model advises, policy code decides, and a trace shows how it came about. \
                   Every answer names its trace in `x-trace-id` and `traceresponse`. The employee and the tenant of a \
                   request may come as W3C Baggage: `baggage: user.id=ana,tenant.id=acme`. A service with API keys takes \
                   the tenant from the key and from nothing else."
), modifiers(&ApiKey), security((), ("api_key" = [])))]
pub struct Contract;

/// What the page asks for behind "Authorize". Optional in the contract, because a service may have
/// no keys.
struct ApiKey;

impl Modify for ApiKey {
    fn modify(&self, contract: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = contract.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(bearer));
    }
}

/// `/openapi.json` and `/docs`.
pub fn pages(contract: utoipa::openapi::OpenApi) -> Router<Arc<AppState>> {
    SwaggerUi::new("/docs")
        .url("/openapi.json", contract)
        .into()
}
