//! The HTTP contract: bodies that are accepted or refused in `bodies`, how they are encoded in
//! `encodings`, lists, filters and policies in `reading`, the OpenAPI description in `contract` and
//! `bounds`, and overload, disconnecting clients and probes in `requests`.

mod bodies;
mod bounds;
mod contract;
mod encodings;
mod reading;
mod requests;

use serde_json::json;

use crate::harness::{Reply, TestApp};

/// Fails unless the reply is a problem of this status and code, with its trace.
pub(crate) fn assert_problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{:#}", reply.body);
    assert_eq!(reply.body["code"], code, "{:#}", reply.body);
    assert_eq!(reply.headers["content-type"], "application/problem+json");
    assert_eq!(
        reply.body["trace_id"],
        reply.headers["x-trace-id"].to_str().unwrap()
    );
}

async fn assert_nothing_recorded(app: &TestApp) {
    assert_eq!(app.get("/v1/expenses").await.body["decisions"], json!([]));
}
