//! The OpenAPI description, `/openapi.json`, and a page to try the API, `/docs`. The page's assets are
//! in the binary, so it loads nothing from other hosts.
//!
//! Handlers describe their own route; [`Route::CODES`] lists the codes that it may answer with.
//! What holds for all routes is added to the finished description: the headers of answers and the
//! need for an API key in this file, and what requests may contain in `bounds`.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use axum::Router;
use serde_json::{Value, json};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, OpenApi};
use utoipa_swagger_ui::SwaggerUi;

use crate::http::AppState;
use crate::http::batch::lines::KeyedLine;
use crate::http::bounds;
use crate::http::error::{Code, PROBLEM_JSON, Problem};
use crate::keys::access::Access;

/// The description without its paths, which the handlers describe themselves.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "expense-agent",
        description = "Decides on expenses: a model advises, policy code decides, and a trace shows how. Every answer of a \
                   route below `/v1` names its trace in `x-trace-id` and `traceresponse`. A request may name the \
                   employee and the tenant as W3C Baggage: `baggage: user.id=ana,tenant.id=acme`. A service with API \
                   keys takes the tenant only from the key. A path that does not exist is answered with 404 \
                   `no_such_route`, a method that a path does not support with 405 `no_such_method` and `Allow`."
    ),
    components(schemas(Problem, KeyedLine))
)]
pub struct Contract;

/// The codes that every route may answer with.
const COMMON: [Code; 3] = [
    Code::RepeatedHeader,
    Code::MisdirectedRequest,
    Code::Internal,
];

/// A route as `/openapi.json` describes it.
pub trait Route {
    /// The codes that the route answers with, in addition to those of every route.
    const CODES: &'static [Code];
}

/// The probes and `/metrics`, which have no codes of their own.
pub struct Untraced;

impl Route for Untraced {
    const CODES: &'static [Code] = &[];
}

/// The problems of a route, one response for each status, for its OpenAPI description.
pub struct Problems<R>(PhantomData<R>);

impl<R: Route> IntoResponses for Problems<R> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in R::CODES.iter().chain(&COMMON) {
            by_status
                .entry(code.status().as_u16())
                .or_default()
                .push(*code);
        }
        by_status
            .into_iter()
            .map(|(status, codes)| (status.to_string(), problem(status, &codes)))
            .collect()
    }
}

/// A response with one of these problems.
fn problem(status: u16, codes: &[Code]) -> RefOr<Response> {
    let meanings = codes
        .iter()
        .map(|code| format!("`{code}`: {}", code.meaning()));
    let codes = codes.iter().map(Code::to_string);
    let value = |of_type| ObjectBuilder::new().schema_type(of_type);
    let of_status = ObjectBuilder::new()
        .property("status", value(Type::Integer).enum_values(Some([status])))
        .property("code", value(Type::String).enum_values(Some(codes)));
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name("Problem"))
        .item(of_status);
    ResponseBuilder::new()
        .description(meanings.collect::<Vec<_>>().join(" "))
        .content(PROBLEM_JSON, Content::new(Some(schema)))
        .into()
}

/// `/openapi.json` and `/docs`.
pub fn pages(contract: utoipa::openapi::OpenApi, access: &Access) -> Router<Arc<AppState>> {
    let mut contract = json!(contract);
    bounds::add(&mut contract);
    add_headers(&mut contract);
    if access.requires_key() {
        require_keys(&mut contract);
    }
    SwaggerUi::new("/docs")
        .external_url_unchecked("/openapi.json", contract)
        .into()
}

/// The operations of every route below `/v1`.
fn operations(contract: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = contract["paths"].as_object_mut().into_iter().flatten();
    paths
        .filter(|(path, _)| path.starts_with("/v1/"))
        .filter_map(|(_, methods)| methods.as_object_mut())
        .flat_map(|methods| methods.values_mut())
}

/// Adds the headers of answers: those of the trace, and those that a status always has.
fn add_headers(contract: &mut Value) {
    let header = |description: &str, pattern: &str| {
        json!({
            "description": description,
            "required": true,
            "schema": {"type": "string", "pattern": pattern},
        })
    };
    contract["components"]["headers"] = json!({
        "x-trace-id": header("The trace of the request.", "^[0-9a-f]{32}$"),
        "traceresponse": header(
            "The trace and the span of the request, in the form of `traceparent`.",
            "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
        ),
        "retry-after": header("Seconds after which the request may be sent again.", "^[0-9]+$"),
        "www-authenticate": header("How to send the API key.", "^Bearer$"),
    });
    for operation in operations(contract) {
        let responses = operation["responses"].as_object_mut().into_iter().flatten();
        for (status, response) in responses {
            if let Some(location) = response.pointer_mut("/headers/location") {
                location["required"] = json!(true);
            }
            let of_status = match status.as_str() {
                "401" => Some("www-authenticate"),
                "503" => Some("retry-after"),
                _ => None,
            };
            for name in ["x-trace-id", "traceresponse"].into_iter().chain(of_status) {
                response["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
            }
        }
    }
}

/// Declares that every route below `/v1` needs an API key, for which the page then has an
/// "Authorize" button.
fn require_keys(contract: &mut Value) {
    contract["components"]["securitySchemes"] =
        json!({"api_key": {"type": "http", "scheme": "bearer"}});
    for operation in operations(contract) {
        operation["security"] = json!([{"api_key": []}]);
    }
}
