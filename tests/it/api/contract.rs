//! The OpenAPI description, compared with what the routes answer.

use expense_agent::domain::submission::FIELDS;
use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::key_file::{KeyFile, entry};
use crate::harness::store::TestStore;

#[tokio::test]
async fn the_contract_and_its_page_come_from_the_binary() {
    let app = TestApp::spawn().await;
    let contract = app.get("/openapi.json").await.body;
    assert!(contract["paths"]["/v1/expenses"]["post"].is_object());
    let properties = contract["components"]["schemas"]["Submission"]["properties"]
        .as_object()
        .unwrap();
    let mut fields: Vec<&str> = properties.keys().map(String::as_str).collect();
    fields.sort_unstable();
    let mut expected = FIELDS;
    expected.sort_unstable();
    assert_eq!(
        fields, expected,
        "the contract names the fields that the parser accepts"
    );
    let page = app.get("/docs/").await;
    let html = page.body.as_str().unwrap().to_owned();
    assert_eq!(page.status, 200);
    assert!(
        !html.contains("http://") && !html.contains("https://"),
        "{html}"
    );
}

#[tokio::test]
async fn the_contract_asks_for_a_key_where_the_service_does() {
    let keys = KeyFile::new(&[entry("acme", "acme", "ea_acme", "")]);
    let keyed = keys.app().await.get("/openapi.json").await.body;
    let open = TestApp::spawn().await.get("/openapi.json").await.body;
    let routes = keyed["paths"].as_object().unwrap();
    for (path, operations) in routes {
        for (method, operation) in operations.as_object().unwrap() {
            let needs_key = path.starts_with("/v1/");
            assert_eq!(
                operation["security"] == json!([{"api_key": []}]),
                needs_key,
                "{path}"
            );
            assert_eq!(
                open["paths"][path][method]["security"],
                Value::Null,
                "{path}"
            );
        }
    }
    assert_eq!(open["components"]["securitySchemes"], Value::Null);
}

#[tokio::test]
async fn the_contract_lists_the_statuses_and_headers_that_the_routes_answer() {
    let store = TestStore::sqlite();
    let app = TestApp::on(&store).await;
    let contract = app.get("/openapi.json").await.body;
    let id = app
        .decide(json!({"transaction": "Taxi", "amount": 1}))
        .await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (one, resolution) = (
        format!("/v1/expenses/{id}"),
        format!("/v1/expenses/{id}/resolution"),
    );
    let (of_one, of_resolution) = ("/v1/expenses/{id}", "/v1/expenses/{id}/resolution");
    let (feedback, note) = (format!("{one}/feedback"), format!("{one}/feedback/note"));
    let of_feedback = "/v1/expenses/{id}/feedback";
    let of_note = "/v1/expenses/{id}/feedback/{name}";
    let blanks = " ".repeat(65 * 1024);
    let answers = async |requests: &[(&str, &str, &str, &str, u16)]| {
        for (route, path, content_type, body, status) in requests {
            let method = match (route.ends_with("{name}"), content_type.is_empty()) {
                (false, true) => reqwest::Method::GET,
                (false, false) => reqwest::Method::POST,
                (true, true) => reqwest::Method::DELETE,
                (true, false) => reqwest::Method::PUT,
            };
            let request = app.request(method.clone(), path, &[("content-type", content_type)]);
            let response = request.body((*body).to_owned()).send().await.unwrap();
            assert_eq!(response.status(), *status, "{method} {path}");
            let headers = response.headers().clone();
            response.bytes().await.unwrap();
            let listed = &contract["paths"][*route][method.as_str().to_lowercase()]["responses"];
            let listed = &listed[status.to_string()];
            assert!(
                listed.is_object(),
                "{method} {route} does not list {status}"
            );
            for (name, header) in listed["headers"].as_object().into_iter().flatten() {
                // The shared headers are always there.
                let is_required = header["$ref"].is_string() || header["required"] == true;
                assert!(
                    headers.contains_key(name) || !is_required,
                    "{method} {route} {name}"
                );
            }
        }
    };
    let json = "application/json";
    let lines = &contract["paths"]["/v1/expenses/batch"]["post"]["requestBody"]["content"]["application/x-ndjson"];
    assert_eq!(
        lines["schema"]["format"], "binary",
        "the page sends a file as it is, and a text in quotes"
    );
    answers(&[
        ("/v1/expenses", "/v1/expenses?limit=0", "", "", 400),
        (of_one, "/v1/expenses/%ff", "", "", 400),
        (of_one, "/v1/expenses/7", "", "", 404),
        (
            of_resolution,
            "/v1/expenses/%ff/resolution",
            json,
            "{}",
            400,
        ),
        (of_resolution, &resolution, json, "{}", 403),
        (
            "/v1/expenses",
            "/v1/expenses",
            json,
            r#"{"transaction": "Taxi", "amount": 1}"#,
            201,
        ),
        ("/healthz", "/healthz", "", "", 200),
        ("/readyz", "/readyz", "", "", 200),
        ("/metrics", "/metrics", "", "", 200),
        (of_resolution, &resolution, json, &blanks, 413),
        (of_resolution, &resolution, "text/plain", "{}", 415),
        (of_feedback, &feedback, "", "", 200),
        (of_feedback, "/v1/expenses/%ff/feedback", "", "", 400),
        (of_feedback, "/v1/expenses/7/feedback", "", "", 404),
        (of_note, "/v1/expenses/%ff/feedback/note", json, "{}", 400),
        (of_note, "/v1/expenses/7/feedback/note", json, "{}", 404),
        (of_note, &format!("{feedback}/mood"), json, "{}", 404),
        (of_note, &note, json, r#"{"comment": "n"}"#, 403),
        (of_note, &note, json, "{}", 422),
        (of_note, &note, json, &blanks, 413),
        (of_note, &note, "text/plain", "{}", 415),
        (of_note, "/v1/expenses/7/feedback/note", "", "", 404),
        (of_note, &format!("{note}?user=ben"), "", "", 400),
        (of_note, &note, "", "", 403),
        ("/v1/expenses/batch", "/v1/expenses/batch", json, "{}", 415),
        (
            "/v1/expenses/batch",
            "/v1/expenses/batch",
            "application/x-ndjson",
            "{}",
            200,
        ),
    ])
    .await;
    store.execute("ALTER TABLE decision RENAME TO gone").await;
    answers(&[
        ("/v1/expenses", "/v1/expenses", "", "", 503),
        (
            "/v1/expenses",
            "/v1/expenses",
            json,
            r#"{"transaction": "Taxi", "amount": 1}"#,
            503,
        ),
        (of_one, &one, "", "", 503),
        (of_feedback, &feedback, "", "", 503),
        (of_note, &note, json, r#"{"comment": "n"}"#, 503),
        (of_note, &note, "", "", 503),
    ])
    .await;
}
