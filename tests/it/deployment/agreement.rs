//! What image, Compose file and manifest have to agree on: the agent's port, its folders, its
//! version, and the Jaeger and the Postgres that they run beside it.

use super::agent::{container, variable};
use super::compose::{self, published};
use super::manifest::{object, pods};
use super::{AGENT, COMPOSE, DOCKERFILE, Files, MANIFEST, assert_check, behind_colon, list, text};

const LISTEN: &str = "EXPENSE_AGENT_LISTEN";

/// The image of the first container of a workload.
fn image<'a>(files: &'a Files, owner: &str) -> &'a str {
    let pod = pods(files)
        .find(|pod| pod.owner == owner)
        .expect("the workload has pods");
    text(&list(&pod.spec["containers"])[0]["image"])
}

fn ports(files: &Files) -> Vec<String> {
    let image = behind_colon(files.image_env.get(LISTEN).map_or("", String::as_str)).to_owned();
    let container_ports = list(&container(files)["ports"]);
    let service =
        object(files, "Service", AGENT).map_or(&[][..], |service| list(&service["spec"]["ports"]));
    // The Service names the container's port, so the name is followed to the number.
    let behind_80 = service
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
        ("what the Service has behind port 80", behind_80.collect()),
        (
            "the Compose file's port",
            published(files, AGENT)
                .iter()
                .map(|port| port.container_port)
                .collect(),
        ),
    ];
    // Where nothing else is said, the image's own address holds.
    let set = [
        (MANIFEST, variable(files, LISTEN)),
        (COMPOSE, compose::variable(files, LISTEN)),
    ];
    places.extend(
        set.into_iter()
            .filter_map(|(file, address)| Some((file, behind_colon(address?).to_owned()))),
    );
    let strays = places.into_iter().filter(|(_, port)| *port != image);
    strays
        .map(|(place, port)| format!("{place} is {port:?}, and the image listens on {image:?}"))
        .collect()
}

#[test]
fn all_files_name_the_same_port() {
    assert_check(
        ports,
        DOCKERFILE,
        &[
            (
                "EXPOSE 8000",
                "EXPOSE 8080",
                r#"EXPOSE is "8080", and the image listens on "8000""#,
            ),
            (
                "0.0.0.0:8000",
                "0.0.0.0:9000",
                r#"EXPOSE is "8000", and the image listens on "9000""#,
            ),
        ],
    );
    assert_check(
        ports,
        COMPOSE,
        &[
            (
                "8000:8000",
                "8000:80",
                r#"the Compose file's port is "80", and the image listens on "8000""#,
            ),
            (
                "RUST_LOG:",
                "EXPENSE_AGENT_LISTEN: 0.0.0.0:80",
                r#"docker-compose.yml is "80", and the image listens on "8000""#,
            ),
        ],
    );
    assert_check(
        ports,
        MANIFEST,
        &[
            (
                "containerPort: 8000",
                "containerPort: 8080",
                r#"the manifest's containerPort is "8080", and the image listens on "8000""#,
            ),
            (
                "containerPort: 8000",
                "containerPort: 8080",
                r#"what the Service has behind port 80 is "8080", and the image listens on "8000""#,
            ),
            (
                "port: 80\n",
                "port: 8000\n",
                r#"what the Service has behind port 80 is "", and the image listens on "8000""#,
            ),
            (
                "value: 0.0.0.0:8000",
                "value: :8080",
                r#"k8s-manifest.yaml is "8080", and the image listens on "8000""#,
            ),
        ],
    );
}

fn folders(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    let mounts = list(&container(files)["volumeMounts"]);
    let volumes = list(&compose::service(files, AGENT)["volumes"]);
    for name in ["EXPENSE_AGENT_POLICIES", "EXPENSE_AGENT_DATA"] {
        let image = files.image_env.get(name).map_or("", String::as_str);
        for (file, folder) in [
            (MANIFEST, variable(files, name)),
            (COMPOSE, compose::variable(files, name)),
        ] {
            if let Some(folder) = folder.filter(|folder| *folder != image) {
                faults.push(format!(
                    "{file}: {name} is {folder}, and the image has {image}"
                ));
            }
        }
        // In the cluster the ledger is a database. Compose takes the policies from the image, and
        // its ledger has to outlive the container.
        if name == "EXPENSE_AGENT_POLICIES"
            && !mounts.iter().any(|mount| mount["mountPath"] == *image)
        {
            faults.push(format!("{MANIFEST}: nothing is mounted at {name}, {image}"));
        }
        let target = format!(":{image}");
        if name == "EXPENSE_AGENT_DATA"
            && !volumes.iter().any(|volume| text(volume).ends_with(&target))
        {
            faults.push(format!("{COMPOSE}: nothing is mounted at {name}, {image}"));
        }
    }
    faults
}

#[test]
fn all_files_name_the_same_folders() {
    let ledger = "EXPENSE_AGENT_DATA=/var/lib/expense-agent";
    let broken = (
        ledger,
        "EXPENSE_AGENT_DATA=/data",
        "docker-compose.yml: nothing is mounted at EXPENSE_AGENT_DATA, /data",
    );
    assert_check(folders, DOCKERFILE, &[broken]);
    assert_check(
        folders,
        MANIFEST,
        &[
            (
                "value: /etc/expense-agent/policies",
                "value: /policies",
                "k8s-manifest.yaml: EXPENSE_AGENT_POLICIES is /policies, and the image has /etc/expense-agent/policies",
            ),
            (
                "mountPath: /etc/expense-agent/policies",
                "mountPath: /policies",
                "k8s-manifest.yaml: nothing is mounted at EXPENSE_AGENT_POLICIES, /etc/expense-agent/policies",
            ),
        ],
    );
}

fn versions(files: &Files) -> Vec<String> {
    let mut faults = Vec::new();
    for (service, owner) in [
        ("jaeger", "Deployment jaeger"),
        ("postgres", "StatefulSet expense-agent-postgres"),
    ] {
        let (in_compose, in_manifest) = (
            text(&compose::service(files, service)["image"]),
            image(files, owner),
        );
        if in_compose != in_manifest {
            faults.push(format!(
                "{COMPOSE} runs {in_compose}, and {MANIFEST} runs {in_manifest}"
            ));
        }
    }
    let built = env!("CARGO_PKG_VERSION");
    let image = text(&container(files)["image"]);
    if behind_colon(image) != built {
        faults.push(format!(
            "{MANIFEST} runs {image}, and this is version {built}"
        ));
    }
    for pod in pods(files) {
        let label = text(&pod.labels["app.kubernetes.io/version"]);
        let image = text(&list(&pod.spec["containers"])[0]["image"]);
        if behind_colon(image) != label {
            faults.push(format!(
                "{}: the label says version {label}, and the image is {image}",
                pod.owner
            ));
        }
    }
    faults
}

#[test]
fn all_files_run_the_same_versions() {
    let jaeger = "image: jaegertracing/jaeger:2.21.0";
    let fault = "docker-compose.yml runs jaegertracing/jaeger:2.20.0, and k8s-manifest.yaml runs jaegertracing/jaeger:2.21.0";
    let of_postgres = "docker-compose.yml runs postgres:16, and k8s-manifest.yaml runs postgres:17";
    let broken = [
        (jaeger, "image: jaegertracing/jaeger:2.20.0", fault),
        ("image: postgres:17", "image: postgres:16", of_postgres),
    ];
    assert_check(versions, COMPOSE, &broken);
    let label = "Deployment jaeger: the label says version 2.21.0, and the image is jaegertracing/jaeger:2.22.0";
    assert_check(
        versions,
        MANIFEST,
        &[(jaeger, "image: jaegertracing/jaeger:2.22.0", label)],
    );
}
