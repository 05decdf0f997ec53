//! Ports in the Kubernetes manifest: Services, probes and NetworkPolicies refer to ports that
//! containers open, and URLs refer to Services.

use serde_json::Value;

use super::agent::variable;
use super::manifest::{Pod, object, pods, selected, title};
use super::{Files, MANIFEST, assert_check, host_and_port, list, text};

/// An error for each port that no container of these pods opens.
fn closed_ports(who: &str, pods: &[Pod], ports: impl Iterator<Item = Value>) -> Vec<String> {
    ports
        .filter(|port| !pods.iter().any(|pod| pod.has_port(port)))
        .map(|port| format!("{who}: no container opens the port {port}"))
        .collect()
}

fn check_services(files: &Files) -> Vec<String> {
    let services = files
        .manifest
        .iter()
        .filter(|object| object["kind"] == "Service");
    let errors = services.map(|service| {
        // The default of targetPort is the port itself.
        let target = |port: &Value| {
            if port["targetPort"].is_null() {
                &port["port"]
            } else {
                &port["targetPort"]
            }
            .clone()
        };
        let pods = selected(files, service, &service["spec"]["selector"]);
        closed_ports(
            &title(service),
            &pods,
            list(&service["spec"]["ports"]).iter().map(target),
        )
    });
    errors.flatten().collect()
}

#[test]
fn every_service_leads_to_an_open_port() {
    assert_check(
        check_services,
        MANIFEST,
        &[
            (
                "targetPort: http\n",
                "targetPort: web\n",
                r#"Service expense-agent: no container opens the port "web""#,
            ),
            (
                "targetPort: http\n",
                "targetPort: 8080\n",
                "Service expense-agent: no container opens the port 8080",
            ),
            (
                "{name: otlp-http, containerPort: 4318",
                "{name: otlp, containerPort: 4318",
                r#"Service jaeger-collector: no container opens the port "otlp-http""#,
            ),
            (
                "port: 4318, targetPort: otlp-http, ",
                "port: 4319, ",
                "Service jaeger-collector: no container opens the port 4319",
            ),
        ],
    );
}

fn check_probes(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
    for pod in pods(files) {
        for container in pod.containers() {
            let ports = list(&container["ports"]);
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                let ways =
                    ["httpGet", "tcpSocket", "grpc"].map(|way| &container[probe][way]["port"]);
                for port in ways.into_iter().filter(|port| !port.is_null()) {
                    if !ports
                        .iter()
                        .any(|open| open["name"] == *port || open["containerPort"] == *port)
                    {
                        errors.push(format!(
                            "{}: {probe} uses the port {port}, which no container opens",
                            pod.owner
                        ));
                    }
                }
            }
        }
    }
    errors
}

#[test]
fn every_probe_uses_an_open_port() {
    assert_check(
        check_probes,
        MANIFEST,
        &[
            (
                "readinessProbe:\n            httpGet: {path: /readyz, port: http}",
                "readinessProbe:\n            httpGet: {path: /readyz, port: web}",
                r#"Deployment expense-agent: readinessProbe uses the port "web", which no container opens"#,
            ),
            (
                "- {name: health,",
                "- {name: ready,",
                r#"Deployment jaeger: startupProbe uses the port "health", which no container opens"#,
            ),
        ],
    );
}

fn check_network_policies(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
    for policy in files
        .manifest
        .iter()
        .filter(|object| object["kind"] == "NetworkPolicy")
    {
        let ports = |rule: &Value| {
            list(&rule["ports"])
                .iter()
                .map(|port| port["port"].clone())
                .collect::<Vec<_>>()
        };
        let own = selected(files, policy, &policy["spec"]["podSelector"]);
        for rule in list(&policy["spec"]["ingress"]) {
            errors.extend(closed_ports(&title(policy), &own, ports(rule).into_iter()));
        }
        for rule in list(&policy["spec"]["egress"]) {
            // Skip pods of other namespaces, which are not in this file.
            let peers = list(&rule["to"])
                .iter()
                .filter(|peer| peer["namespaceSelector"].is_null());
            for selector in peers
                .map(|peer| &peer["podSelector"])
                .filter(|selector| selector.is_object())
            {
                errors.extend(closed_ports(
                    &title(policy),
                    &selected(files, policy, selector),
                    ports(rule).into_iter(),
                ));
            }
        }
    }
    errors
}

#[test]
fn every_port_that_a_network_policy_opens_is_one_of_a_container() {
    assert_check(
        check_network_policies,
        MANIFEST,
        &[
            (
                "port: 8000}",
                "port: web}",
                r#"NetworkPolicy expense-agent: no container opens the port "web""#,
            ),
            (
                "port: 16686}\n---",
                "port: 16687}\n---",
                "NetworkPolicy jaeger: no container opens the port 16687",
            ),
            (
                "port: 4317}\n    # The model's",
                "port: 4316}\n    # The model's",
                "NetworkPolicy expense-agent: no container opens the port 4316",
            ),
        ],
    );
}

fn check_urls(files: &Files) -> Vec<String> {
    let has_port = |service: &Value, port: u16| {
        list(&service["spec"]["ports"])
            .iter()
            .any(|open| open["port"] == port)
    };
    let mut errors = Vec::new();
    let url = variable(files, "OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_default();
    let service =
        host_and_port(url).and_then(|(host, port)| Some((object(files, "Service", &host)?, port)));
    if !service.is_some_and(|(service, port)| has_port(service, port)) {
        errors.push(format!("OTEL_EXPORTER_OTLP_ENDPOINT: no Service is {url}"));
    }
    // The trace UI is reached by a port-forward, which keeps the Service's port.
    let url = variable(files, "EXPENSE_AGENT_TRACE_URL").unwrap_or_default();
    let mut services = files
        .manifest
        .iter()
        .filter(|object| text(&object["kind"]) == "Service");
    if !host_and_port(url).is_some_and(|(_, port)| services.any(|service| has_port(service, port)))
    {
        errors.push(format!(
            "EXPENSE_AGENT_TRACE_URL: no Service has the port of {url}"
        ));
    }
    errors
}

#[test]
fn every_url_of_the_agent_leads_to_a_service() {
    assert_check(
        check_urls,
        MANIFEST,
        &[
            (
                "http://jaeger-collector:4317",
                "http://jaeger:4317",
                "OTEL_EXPORTER_OTLP_ENDPOINT: no Service is http://jaeger:4317",
            ),
            (
                "http://jaeger-collector:4317",
                "http://jaeger-collector:4316",
                "OTEL_EXPORTER_OTLP_ENDPOINT: no Service is http://jaeger-collector:4316",
            ),
            (
                "http://localhost:16686/trace/{trace_id}",
                "http://localhost:16687",
                "EXPENSE_AGENT_TRACE_URL: no Service has the port of http://localhost:16687",
            ),
        ],
    );
}
