//! The image, the Compose file and the manifest agree on the agent's port, folders and version, and
//! on the versions of Jaeger and Postgres.

use super::agent::{container, variable};
use super::compose::{self, published};
use super::manifest::{object, pods};
use super::{
    AGENT, COMPOSE, DOCKERFILE, Files, MANIFEST, after_last_colon, assert_check, list, text,
};

const LISTEN: &str = "EXPENSE_AGENT_LISTEN";

/// The image of the first container of a workload.
fn image<'a>(files: &'a Files, owner: &str) -> &'a str {
    let pod = pods(files)
        .find(|pod| pod.owner == owner)
        .expect("the workload has pods");
    text(&list(&pod.spec["containers"])[0]["image"])
}

fn check_ports(files: &Files) -> Vec<String> {
    let image = after_last_colon(files.image_env.get(LISTEN).map_or("", String::as_str)).to_owned();
    let container_ports = list(&container(files)["ports"]);
    let service =
        object(files, "Service", AGENT).map_or(&[][..], |service| list(&service["spec"]["ports"]));
    // The Service refers to the container's port by name; look up its number.
    let target_of_80 = service
        .iter()
        .filter(|port| port["port"] == 80)
        .map(|port| {
            let named = container_ports
                .iter()
                .find(|open| open["name"] == port["targetPort"]);
            named
                .map_or(&port["targetPort"], |open| &open["containerPort"])
                .to_string()
        });
    let mut places = vec![
        ("EXPOSE", files.image_ports.join(" ")),
        (
            "the manifest's containerPort",
            container_ports
                .iter()
                .map(|port| port["containerPort"].to_string())
                .collect(),
        ),
        (
            "the target of the Service's port 80",
            target_of_80.collect(),
        ),
        (
            "the Compose file's port",
            published(files, AGENT)
                .iter()
                .map(|port| port.container_port)
                .collect(),
        ),
    ];
    // A file that does not set the address uses the image's.
    let set = [
        (MANIFEST, variable(files, LISTEN)),
        (COMPOSE, compose::variable(files, LISTEN)),
    ];
    places.extend(
        set.into_iter()
            .filter_map(|(file, address)| Some((file, after_last_colon(address?).to_owned()))),
    );
    let strays = places.into_iter().filter(|(_, port)| *port != image);
    strays
        .map(|(place, port)| format!("{place} is {port:?}, but the image listens on {image:?}"))
        .collect()
}

#[test]
fn all_files_name_the_same_port() {
    assert_check(
        check_ports,
        DOCKERFILE,
        &[
            (
                "EXPOSE 8000",
                "EXPOSE 8080",
                r#"EXPOSE is "8080", but the image listens on "8000""#,
            ),
            (
                "0.0.0.0:8000",
                "0.0.0.0:9000",
                r#"EXPOSE is "8000", but the image listens on "9000""#,
            ),
        ],
    );
    assert_check(
        check_ports,
        COMPOSE,
        &[
            (
                "8000:8000",
                "8000:80",
                r#"the Compose file's port is "80", but the image listens on "8000""#,
            ),
            (
                "RUST_LOG:",
                "EXPENSE_AGENT_LISTEN: 0.0.0.0:80",
                r#"docker-compose.yml is "80", but the image listens on "8000""#,
            ),
        ],
    );
    assert_check(
        check_ports,
        MANIFEST,
        &[
            (
                "containerPort: 8000",
                "containerPort: 8080",
                r#"the manifest's containerPort is "8080", but the image listens on "8000""#,
            ),
            (
                "containerPort: 8000",
                "containerPort: 8080",
                r#"the target of the Service's port 80 is "8080", but the image listens on "8000""#,
            ),
            (
                "port: 80\n",
                "port: 8000\n",
                r#"the target of the Service's port 80 is "", but the image listens on "8000""#,
            ),
            (
                "value: 0.0.0.0:8000",
                "value: :8080",
                r#"k8s-manifest.yaml is "8080", but the image listens on "8000""#,
            ),
        ],
    );
}

fn check_folders(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
    let mounts = list(&container(files)["volumeMounts"]);
    let volumes = list(&compose::service(files, AGENT)["volumes"]);
    for name in ["EXPENSE_AGENT_POLICIES", "EXPENSE_AGENT_DATA"] {
        let image = files.image_env.get(name).map_or("", String::as_str);
        for (file, folder) in [
            (MANIFEST, variable(files, name)),
            (COMPOSE, compose::variable(files, name)),
        ] {
            if let Some(folder) = folder.filter(|folder| *folder != image) {
                errors.push(format!(
                    "{file}: {name} is {folder}, but the image has {image}"
                ));
            }
        }
        // The manifest mounts only the policies, because its ledger is in Postgres. Compose mounts
        // only the ledger, because it uses the policies in the image.
        if name == "EXPENSE_AGENT_POLICIES"
            && !mounts.iter().any(|mount| mount["mountPath"] == *image)
        {
            errors.push(format!("{MANIFEST}: nothing is mounted at {name}, {image}"));
        }
        let target = format!(":{image}");
        if name == "EXPENSE_AGENT_DATA"
            && !volumes.iter().any(|volume| text(volume).ends_with(&target))
        {
            errors.push(format!("{COMPOSE}: nothing is mounted at {name}, {image}"));
        }
    }
    errors
}

#[test]
fn all_files_name_the_same_folders() {
    let ledger = "EXPENSE_AGENT_DATA=/var/lib/expense-agent";
    let broken = (
        ledger,
        "EXPENSE_AGENT_DATA=/data",
        "docker-compose.yml: nothing is mounted at EXPENSE_AGENT_DATA, /data",
    );
    assert_check(check_folders, DOCKERFILE, &[broken]);
    assert_check(
        check_folders,
        MANIFEST,
        &[
            (
                "value: /etc/expense-agent/policies",
                "value: /policies",
                "k8s-manifest.yaml: EXPENSE_AGENT_POLICIES is /policies, but the image has /etc/expense-agent/policies",
            ),
            (
                "mountPath: /etc/expense-agent/policies",
                "mountPath: /policies",
                "k8s-manifest.yaml: nothing is mounted at EXPENSE_AGENT_POLICIES, /etc/expense-agent/policies",
            ),
        ],
    );
}

fn check_versions(files: &Files) -> Vec<String> {
    let mut errors = Vec::new();
    for (service, owner) in [
        ("jaeger", "Deployment jaeger"),
        ("postgres", "StatefulSet expense-agent-postgres"),
    ] {
        let (in_compose, in_manifest) = (
            text(&compose::service(files, service)["image"]),
            image(files, owner),
        );
        if in_compose != in_manifest {
            errors.push(format!(
                "{COMPOSE} runs {in_compose}, but {MANIFEST} runs {in_manifest}"
            ));
        }
    }
    let built = env!("CARGO_PKG_VERSION");
    let image = text(&container(files)["image"]);
    if after_last_colon(image) != built {
        errors.push(format!(
            "{MANIFEST} runs {image}, but this is version {built}"
        ));
    }
    for pod in pods(files) {
        let label = text(&pod.labels["app.kubernetes.io/version"]);
        let image = text(&list(&pod.spec["containers"])[0]["image"]);
        if after_last_colon(image) != label {
            errors.push(format!(
                "{}: the label says version {label}, but the image is {image}",
                pod.owner
            ));
        }
    }
    errors
}

#[test]
fn all_files_run_the_same_versions() {
    let jaeger = "image: jaegertracing/jaeger:2.21.0";
    let error = "docker-compose.yml runs jaegertracing/jaeger:2.20.0, but k8s-manifest.yaml runs jaegertracing/jaeger:2.21.0";
    let postgres_error =
        "docker-compose.yml runs postgres:16, but k8s-manifest.yaml runs postgres:17";
    let broken = [
        (jaeger, "image: jaegertracing/jaeger:2.20.0", error),
        ("image: postgres:17", "image: postgres:16", postgres_error),
    ];
    assert_check(check_versions, COMPOSE, &broken);
    let label = "Deployment jaeger: the label says version 2.21.0, but the image is jaegertracing/jaeger:2.22.0";
    assert_check(
        check_versions,
        MANIFEST,
        &[(jaeger, "image: jaegertracing/jaeger:2.22.0", label)],
    );
}
