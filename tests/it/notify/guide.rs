//! The receiver in deploy/README.md, run as it is written there: an implementation of the signature that
//! shares no code with this program.

use std::fs;
use std::process::Stdio;

use expense_agent::notify::NotifyConfig;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::{TIMEOUT, keys, notifying, outbox, waiting};
use crate::harness::expenses::id_of;
use crate::harness::skip::skip;
use crate::harness::store::TestStore;
use crate::harness::webhook_receiver::{SECRET, WebhookReceiver, receiver};
use crate::harness::{TestApp, poll, project_path};

/// A running receiver, its standard output and its URL; `None` without Python.
async fn start(secret: &str) -> Option<(Child, Lines<BufReader<ChildStdout>>, String)> {
    let guide = fs::read_to_string(project_path("deploy/README.md")).unwrap();
    let script = guide
        .split("```python\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .find(|script| script.contains("webhook-signature"))
        .expect("the guide has a receiver");
    // On any free port, which it prints.
    let serve = "HTTPServer((\"127.0.0.1\", 9000), Receiver).serve_forever()";
    assert!(script.contains(serve));
    let script = script.replace(
        serve,
        "server = HTTPServer((\"127.0.0.1\", 0), Receiver)\nprint(server.server_port, flush=True)\nserver.serve_forever()",
    );
    let mut child = Command::new("python3")
        .args(["-c", &script])
        .env("EXPENSE_AGENT_NOTIFY_SECRET", secret)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let mut lines = BufReader::new(child.stdout.take()?).lines();
    let port = timeout(TIMEOUT, lines.next_line())
        .await
        .unwrap()
        .unwrap()?;
    Some((child, lines, format!("http://127.0.0.1:{port}/")))
}

#[tokio::test]
async fn the_receiver_of_the_guide_accepts_what_is_genuine_and_nothing_else() {
    let other = "whsec_c2Vjb25kIHNlY3JldCBvZiB0aGUgdGVzdHM=";
    for (secret, is_genuine) in [(SECRET, true), (other, false)] {
        let Some((_child, mut lines, url)) = start(secret).await else {
            skip("the receiver of the guide; install python3");
            return;
        };
        let (store, keys) = (TestStore::sqlite(), keys());
        let mut config = notifying(&WebhookReceiver::spawn().await, &store, &keys);
        config.notify = NotifyConfig {
            receivers: vec![receiver(None, &url)],
            ..config.notify
        };
        let app = TestApp::with(config).await;
        let open = waiting(&app).await;
        // Refused for good or accepted, it leaves the outbox.
        poll::until(TIMEOUT, "end of the delivery", async || {
            match outbox(&store).await {
                rows if rows.len() == 1 => Ok(()),
                rows => Err(rows),
            }
        })
        .await;
        let labels = [("expense_notification_result", "delivered")];
        let page = app.metrics().await;
        let n_delivered = page.sum("expense_notification_attempts_total", &labels);
        assert_eq!(n_delivered, if is_genuine { 1.0 } else { 0.0 });
        if is_genuine {
            let line = timeout(TIMEOUT, lines.next_line())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            assert!(
                line.starts_with(&format!("{}_expense_waiting {{", id_of(&open))),
                "{line}"
            );
        }
        app.stop().await;
    }
}
