//! The OpenAPI description, with the problems of each route, and a page to try the API. The page's
//! assets are in the binary, so it loads nothing from other hosts.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use axum::Router;
use serde_json::json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi};
use utoipa_swagger_ui::SwaggerUi;

use crate::http::AppState;
use crate::http::bounds;
use crate::http::error::{Code, PROBLEM_JSON, Problem};

/// The description without its paths, which the handlers describe themselves.
#[derive(OpenApi)]
#[openapi(info(
    title = "expense-agent",
    description = "Decides on expenses: a model advises, policy code decides, and a trace shows how. Every response \
                   names its trace in `x-trace-id` and `traceresponse`. A request may name the employee and the \
                   tenant as W3C Baggage: `baggage: user.id=ana,tenant.id=acme`. A service with API keys takes the \
                   tenant only from the key."
), components(schemas(Problem)), modifiers(&ApiKey), security((), ("api_key" = [])))]
pub struct Contract;

/// What the page asks for behind "Authorize". Optional, because a service may have no keys.
struct ApiKey;

impl Modify for ApiKey {
    fn modify(&self, contract: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = contract.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(bearer));
    }
}

/// The codes that every route answers with.
const COMMON: [Code; 2] = [Code::RepeatedHeader, Code::MisdirectedRequest];

/// A route as `/openapi.json` describes it.
pub trait Route {
    /// The codes that the route answers with, beside those of every route.
    const CODES: &'static [Code];
}

/// The problems of a route, one response for each status, for its OpenAPI description.
pub struct Problems<R>(PhantomData<R>);

impl<R: Route> IntoResponses for Problems<R> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut meanings: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for code in R::CODES.iter().chain(&COMMON) {
            let status = code.status().as_str().to_owned();
            let meaning = format!("`{code}`: {}", code.meaning());
            meanings.entry(status).or_default().push(meaning);
        }
        let response = |meanings: Vec<String>| {
            let schema = Content::new(Some(Ref::from_schema_name("Problem")));
            let response = ResponseBuilder::new().description(meanings.join(" "));
            response.content(PROBLEM_JSON, schema).into()
        };
        meanings
            .into_iter()
            .map(|(status, meanings)| (status, response(meanings)))
            .collect()
    }
}

/// `/openapi.json` and `/docs`.
pub fn pages(contract: &utoipa::openapi::OpenApi) -> Router<Arc<AppState>> {
    let mut contract = json!(contract);
    bounds::add(&mut contract);
    SwaggerUi::new("/docs")
        .external_url_unchecked("/openapi.json", contract)
        .into()
}
