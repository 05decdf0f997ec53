//! A headless Chromium, driven by chromedriver over WebDriver. A test gets one browser or several,
//! each with a chromedriver and a profile of its own, and fails if the browser reports an error, if
//! something violates the page's Content-Security-Policy, or if the page asks another origin for
//! anything. Without the programs the test says that it was skipped.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;
use thirtyfour::{ChromeCapabilities, LoggingPrefsLogLevel};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::poll;
use super::skip::skip;

/// How long a browser may take to start, and a page to show what a test waits for.
const TIMEOUT: Duration = Duration::from_secs(30);
const PERIOD: Duration = Duration::from_millis(50);
/// Browsers at once: each occupies about a processor while it draws.
const MAX_BROWSERS: usize = 2;
static BROWSERS: Semaphore = Semaphore::const_new(MAX_BROWSERS);

/// No sandbox, because tests may run as root; no traffic of the browser's own; and no names resolved,
/// so that nothing leaves this machine.
const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

/// Runs a test with a browser.
pub(crate) async fn browse(test: impl AsyncFnOnce(&Browser)) {
    browse_with(async |[browser]: &[Browser; 1]| test(browser).await).await;
}

/// Runs a test with several browsers, which share nothing.
pub(crate) async fn browse_with<const N: usize>(test: impl AsyncFnOnce(&[Browser; N])) {
    const { assert!(N <= MAX_BROWSERS) };
    for program in ["chromedriver", "chromium"] {
        let version = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if version.await.is_err() {
            skip(&format!("no {program} on the path"));
            return;
        }
    }
    // All at once: two tests that have one browser each would wait for a second one for ever.
    let n_browsers = u32::try_from(N).expect("a few");
    let _permits = BROWSERS.acquire_many(n_browsers).await.unwrap();
    let mut browsers = Vec::new();
    for _ in 0..N {
        browsers.push(Browser::start().await);
    }
    let browsers: [Browser; N] = browsers.try_into().ok().expect("as many as were started");
    test(&browsers).await;
    for browser in browsers {
        browser.finish().await;
    }
}

/// A browser with one window.
pub(crate) struct Browser {
    /// Dropped first: a test that panics ends the session before its chromedriver.
    driver: WebDriver,
    /// The origins from which the test opened pages.
    origins: Mutex<BTreeSet<String>>,
    /// What the browser has reported and the test has read.
    reported: Mutex<Vec<String>>,
    /// Parts of the errors that the test provokes.
    provoked: Mutex<Vec<String>>,
    _chromedriver: Child,
    _profile: TempDir,
}

impl Deref for Browser {
    type Target = WebDriver;

    fn deref(&self) -> &WebDriver {
        &self.driver
    }
}

impl Browser {
    async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut chromedriver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(chromedriver.stdout.take().unwrap()).lines();
        let port = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, port)) = line.split_once("successfully on port ") {
                    return port.trim_end_matches('.').to_owned();
                }
            }
            panic!("chromedriver does not say on which port it listens");
        };
        let port = timeout(TIMEOUT, port).await.expect("chromedriver starts");
        let url = format!("http://127.0.0.1:{port}");
        let driver = WebDriver::new(url, capabilities(&profile)).await.unwrap();
        Self {
            driver,
            origins: Mutex::default(),
            reported: Mutex::default(),
            provoked: Mutex::default(),
            _chromedriver: chromedriver,
            _profile: profile,
        }
    }

    /// Opens a page of a service.
    pub(crate) async fn open(&self, service: &str, path: &str) {
        self.origins.lock().unwrap().insert(service.to_owned());
        self.driver.goto(format!("{service}{path}")).await.unwrap();
    }

    /// The first visible element that a CSS selector matches, as soon as there is one.
    pub(crate) async fn see(&self, selector: &str) -> WebElement {
        let query = self.query(By::Css(selector)).and_displayed();
        let found = query.wait(TIMEOUT, PERIOD).first().await;
        match found {
            Ok(found) => found,
            Err(error) => panic!(
                "{selector} on {}: {error}\n{}",
                self.current_url().await.unwrap(),
                self.text("body").await
            ),
        }
    }

    /// The text of the first element that a CSS selector matches now.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let found = self.find(By::Css(selector)).await.unwrap();
        found.text().await.unwrap()
    }

    /// Clicks on an element as soon as there is one.
    pub(crate) async fn click(&self, selector: &str) {
        self.see(selector).await.click().await.unwrap();
    }

    /// Clicks on the link or button with this text.
    pub(crate) async fn press(&self, text: &str) {
        let is_it = format!("normalize-space()={text:?}");
        let xpath = format!("//button[{is_it}] | //a[{is_it}] | //summary[{is_it}]");
        let query = self.query(By::XPath(xpath)).and_displayed();
        let found = query.wait(TIMEOUT, PERIOD).first().await;
        found.unwrap().click().await.unwrap();
    }

    /// Does something, and waits until another document has taken the place of this one.
    pub(crate) async fn leave(&self, act: impl Future<Output = ()>) {
        self.evaluate("window.isLeft = true").await;
        act.await;
        self.until("window.isLeft === undefined && document.readyState === 'complete'")
            .await;
    }

    /// Presses one key, wherever the focus is. Chromedriver repeats an action of WebDriver that a
    /// navigation interrupts, and a key that opens another view would open the one after it.
    pub(crate) async fn key(&self, key: &str) {
        for event in ["keyDown", "keyUp"] {
            let text = if event == "keyDown" { key } else { "" };
            let pressed = json!({"type": event, "key": key, "text": text});
            self.devtools("Input.dispatchKeyEvent", pressed).await;
        }
    }

    /// Types a text, wherever the focus is.
    pub(crate) async fn type_text(&self, text: &str) {
        let chain = self.action_chain().send_keys(text);
        chain.perform().await.unwrap();
    }

    /// Replaces the text of a field.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let field = self.see(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Waits until the document contains a text.
    pub(crate) async fn until_shown(&self, text: &str) {
        poll::until(TIMEOUT, text, async || {
            // Between two documents there is no body.
            let body = async { self.find(By::Tag("body")).await?.text().await };
            let shown = body.await.unwrap_or_default();
            match shown.contains(text) {
                true => Ok(()),
                false => Err(shown),
            }
        })
        .await;
    }

    /// The result of a function body in JavaScript, run in the page.
    pub(crate) async fn evaluate(&self, body: &str) -> Value {
        let result = self.execute(body, Vec::new()).await.unwrap();
        result.json().clone()
    }

    /// Waits until an expression in JavaScript is true in the page.
    pub(crate) async fn until(&self, expression: &str) {
        poll::until(TIMEOUT, expression, async || {
            match self
                .execute(&format!("return {expression}"), Vec::new())
                .await
            {
                Ok(result) if *result.json() == json!(true) => Ok(()),
                Ok(result) => Err(result.json().to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// Sends a command of the Chrome DevTools Protocol.
    pub(crate) async fn devtools(&self, method: &str, parameters: Value) -> Value {
        self.cdp().send_raw(method, parameters).await.unwrap()
    }

    /// Makes the page so many CSS pixels wide, with so many pixels of the screen each.
    pub(crate) async fn resize(&self, width: u32, zoom: u32) {
        let metrics =
            json!({"width": width, "height": 800, "deviceScaleFactor": zoom, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// Makes the browser wish for `light` or `dark` colours.
    pub(crate) async fn prefer(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Turns JavaScript of pages off. Scripts of the test still run.
    pub(crate) async fn turn_scripts_off(&self) {
        self.devtools(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": true}),
        )
        .await;
    }

    /// Announces an error that the test provokes, such as the status 403: a report that contains this
    /// text is no fault, and its absence is one.
    pub(crate) fn provokes(&self, report: &str) {
        self.provoked.lock().unwrap().push(report.to_owned());
    }

    /// Waits until the browser reports an error that contains this text.
    pub(crate) async fn until_reported(&self, text: &str) {
        poll::until(TIMEOUT, text, async || {
            // The log is emptied by reading it.
            let new = self.reports().await;
            let mut reported = self.reported.lock().unwrap();
            reported.extend(new);
            match reported.iter().any(|report| report.contains(text)) {
                true => Ok(()),
                false => Err(reported.clone()),
            }
        })
        .await;
    }

    /// Ends the session, and fails if the browser reported a fault.
    async fn finish(self) {
        let mut faults = self.reported.lock().unwrap().clone();
        faults.extend(self.reports().await);
        faults.extend(self.strange_requests().await);
        let provoked = self.provoked.lock().unwrap().clone();
        for report in &provoked {
            let n_faults = faults.len();
            faults.retain(|fault| !fault.contains(report));
            assert!(faults.len() < n_faults, "the test did not provoke {report}");
        }
        assert!(
            faults.is_empty(),
            "the browser reported:\n{}",
            faults.join("\n")
        );
        self.driver.quit().await.unwrap();
    }

    /// Warnings and errors that the browser wrote to its console: errors of scripts, violations of the policy, failed
    /// requests.
    async fn reports(&self) -> Vec<String> {
        let log = self.browser_log().await.unwrap();
        log.into_iter().map(|entry| entry.message).collect()
    }

    /// Requests to origins that the test did not open.
    async fn strange_requests(&self) -> Vec<String> {
        let origins = self.origins.lock().unwrap().clone();
        let log = self.get_log("performance").await.unwrap();
        log.into_iter()
            .filter_map(|entry| {
                let message: Value = serde_json::from_str(&entry.message).unwrap();
                let event = &message["message"];
                let url = event["params"]["request"]["url"].as_str()?.to_owned();
                (event["method"] == "Network.requestWillBeSent").then_some(url)
            })
            .filter(|url| {
                let is_known = |origin: &String| {
                    let rest = url.strip_prefix(origin.as_str());
                    rest.is_some_and(|path| path.starts_with('/'))
                };
                // The rest are pages and parts of the browser itself.
                let is_of_network = url.starts_with("http") || url.starts_with("ws");
                is_of_network && !origins.iter().any(is_known)
            })
            .map(|url| format!("a request beyond the origin: {url}"))
            .collect()
    }
}

fn capabilities(profile: &TempDir) -> ChromeCapabilities {
    let mut capabilities = DesiredCapabilities::chrome();
    for argument in ARGUMENTS {
        capabilities.add_arg(argument).unwrap();
    }
    let folder = profile.path().display();
    capabilities
        .add_arg(&format!("--user-data-dir={folder}"))
        .unwrap();
    capabilities.add_arg("--window-size=1200,900").unwrap();
    for (log, level) in [
        ("browser", LoggingPrefsLogLevel::Warning),
        ("performance", LoggingPrefsLogLevel::All),
    ] {
        capabilities.set_logging_prefs(log, level).unwrap();
    }
    capabilities
}
