//! How long requests take with few and many decisions in the ledger, those for the page included. Every
//! ledger is filled by SQL with copies of four decisions that a service made, spread over 29 days; the
//! hashes and shares of the copies are invented, because no request reads them. Then services on
//! ledgers of all sizes take turns, request by request.

use std::time::{Duration, Instant, SystemTime};

use anyhow::ensure;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::Bench;
use super::arguments::StoreKind;
use super::load::{Meals, People};
use super::process::Process;
use super::report::Table;
use super::store::{Store, execute};
use super::subject::service;

/// The maximum number of requests that are measured for each kind of request and each size.
const MAX_REQUESTS: u64 = 200;
/// All employees belong to one tenant, the worst case for the indexes, which begin with the tenant.
const PEOPLE: People = People {
    n_tenants: 1,
    n_users: 10_000,
};

/// The lists that are measured: name and query. Pages are small, so that the time is that of the
/// database query, not of writing the response.
const LISTS: [(&str, &str); 11] = [
    ("list, first page", "limit=10"),
    ("list, from the middle on", "limit=10&cursor=MIDDLE"),
    ("by outcome", "limit=10&outcome=approved"),
    ("by category", "limit=10&category=travel"),
    ("by employee", "limit=10&user_id=user-7"),
    (
        "by failed check",
        "limit=10&failed_validation=category_evidence",
    ),
    (
        "by failed check, none",
        "limit=10&failed_validation=amount_grounding",
    ),
    ("by pending", "limit=10&pending=manager"),
    ("by pending, none", "limit=10&pending=cfo"),
    (
        "by outcome and category, none",
        "limit=10&outcome=denied&category=meals",
    ),
    (
        "by outcome and failed check, none",
        "limit=10&outcome=approved&failed_validation=amount_grounding",
    ),
];

/// The views of the page that are measured: name and path. Searches by what no index holds compare a
/// bounded number of decisions; those that find nothing compare all of these.
const VIEWS: [(&str, &str); 14] = [
    ("page: overview, 24 hours", "/ui/?"),
    ("page: overview, 30 days", "/ui/?range=30d"),
    ("page: list", "/ui/decisions?"),
    ("page: by outcome", "/ui/decisions?outcome=approved"),
    (
        "page: by check that failed, none",
        "/ui/decisions?failed=true",
    ),
    (
        "page: by agent outcome, none",
        "/ui/decisions?agent_outcome=error",
    ),
    ("page: by override", "/ui/decisions?override=true"),
    ("page: by rule", "/ui/decisions?rule=travel-trip-cap"),
    ("page: by model, none", "/ui/decisions?model=another"),
    (
        "page: by prompt version, none",
        "/ui/decisions?prompt=decide&prompt_version=0",
    ),
    (
        "page: unpriced and not judged, none",
        "/ui/decisions?priced=false&judged=false",
    ),
    ("page: by text", "/ui/decisions?text=lunch"),
    ("page: by text, none", "/ui/decisions?text=zebra"),
    ("page: review", "/ui/review?"),
];

/// The time over which the decisions of a ledger are spread.
const SPREAD_MS: u64 = 29 * 24 * 3_600_000;

/// A service on a ledger of one size.
struct FilledLedger {
    n_rows: u64,
    ids: Ids,
    process: Process,
    meals: Meals,
    client: Client,
    store: Store,
}

/// Measures, and returns the tables.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<Table>> {
    let mut tables = Vec::new();
    for kind in bench
        .arguments
        .available_stores()
        .filter(|kind| *kind != StoreKind::Memory)
    {
        let mut ledgers = Vec::new();
        for n_rows in &bench.arguments.rows {
            ledgers.push(FilledLedger::make(bench, kind, *n_rows).await?);
        }
        let mut rows = vec![
            row("POST", &ledgers, |ledger, _| ledger.meals.next()).await?,
            row("POST with a key", &ledgers, |ledger, _| {
                ledger
                    .meals
                    .next()
                    .header("idempotency-key", Uuid::new_v4().to_string())
            })
            .await?,
            row("GET by id", &ledgers, |ledger, n| {
                ledger.get(&format!(
                    "/{}",
                    ledger.ids.get(n * 7_919 % ledger.n_rows + 1)
                ))
            })
            .await?,
        ];
        for (name, query) in LISTS {
            let list = |ledger: &FilledLedger, _| {
                ledger.get(&format!(
                    "?{}",
                    query.replace("MIDDLE", &ledger.ids.get(ledger.n_rows / 2))
                ))
            };
            rows.push(row(name, &ledgers, list).await?);
        }
        for (name, path) in VIEWS {
            let view = |ledger: &FilledLedger, _| ledger.view(path);
            rows.push(row(name, &ledgers, view).await?);
        }
        for FilledLedger { process, store, .. } in ledgers {
            process.stop().await?;
            store.remove().await?;
        }
        let sizes = bench.arguments.rows.iter();
        let sizes = sizes.map(|n_rows| format!("{n_rows} decisions"));
        let columns = std::iter::once(String::new()).chain(sizes).collect();
        let title = format!(
            "## {kind}: one request at a time in milliseconds, median / 95th percentile, by decisions in the ledger"
        );
        tables.push(Table {
            title,
            columns,
            rows,
        });
    }
    Ok(tables)
}

/// The median and the 95th percentile of one kind of request, by size.
async fn row(
    name: &str,
    ledgers: &[FilledLedger],
    request: impl Fn(&FilledLedger, u64) -> RequestBuilder,
) -> anyhow::Result<Vec<String>> {
    /// After this time no further requests are sent, so slow kinds of request are measured less often.
    const MAX_DURATION: Duration = Duration::from_secs(10);
    let mut times = vec![Vec::new(); ledgers.len()];
    let begin = Instant::now();
    for n in 0..MAX_REQUESTS {
        for (ledger, times) in ledgers.iter().zip(&mut times) {
            let request = request(ledger, n);
            let sent = Instant::now();
            let response = request.send().await?;
            ensure!(
                response.status().is_success(),
                "{name} was answered with {}",
                response.status()
            );
            response.bytes().await?;
            times.push(sent.elapsed());
        }
        if begin.elapsed() > MAX_DURATION {
            break;
        }
    }
    let medians = times.iter_mut().map(|times| {
        times.sort();
        let millis = |n: usize| times[n].as_secs_f64() * 1_000.0;
        format!(
            "{:.2} / {:.2}",
            millis(times.len() / 2),
            millis(times.len() * 95 / 100)
        )
    });
    Ok(std::iter::once(name.to_owned()).chain(medians).collect())
}

impl FilledLedger {
    /// Creates a ledger, fills it, and starts the service to measure.
    async fn make(bench: &Bench, kind: StoreKind, n_rows: u64) -> anyhow::Result<Self> {
        let store = Store::make(kind, &bench.arguments).await?;
        let start = async || {
            Process::start(service(
                &bench.arguments.services[0],
                &bench.model.base_url,
                &store,
            ))
            .await
        };
        let process = start().await?;
        let client = Client::builder().no_proxy().build()?;
        for (transaction, amount) in [
            ("Lunch", 12),
            ("Flight to Chicago", 650),
            ("Printer", 600),
            ("Taxi", 30),
        ] {
            let body = json!({"transaction": transaction, "amount": amount, "receipt": true});
            let response = client
                .post(format!("{}/v1/expenses", process.url))
                .json(&body)
                .send()
                .await?;
            let decision: Value = response.json().await?;
            ensure!(
                decision["outcome"].is_string(),
                "a template was answered with {decision}"
            );
        }
        process.stop().await?;
        let ids = Ids::new(n_rows)?;
        execute(&store.url, filling_sql(kind, n_rows, ids)).await?;
        let tidying = if kind == StoreKind::Postgres {
            "VACUUM ANALYZE"
        } else {
            "PRAGMA wal_checkpoint(TRUNCATE)"
        };
        execute(&store.url, tidying.to_owned()).await?;
        let process = start().await?;
        let meals = Meals::new(&process.url, PEOPLE)?;
        let ledger = Self {
            n_rows,
            ids,
            process,
            meals,
            client,
            store,
        };
        ledger.count_figures().await?;
        Ok(ledger)
    }

    /// Waits until the figures of the page are counted, which a look at them begins.
    async fn count_figures(&self) -> anyhow::Result<()> {
        loop {
            let page = self.view("/ui/?").send().await?.text().await?;
            if page.contains("Counted just now") {
                return Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// A request for a view; its path ends with parameters.
    fn view(&self, path: &str) -> RequestBuilder {
        self.client
            .get(format!("{}{path}&tenant=tenant-0", self.process.url))
    }

    fn get(&self, rest: &str) -> RequestBuilder {
        self.client
            .get(format!("{}/v1/expenses{rest}", self.process.url))
            .header("baggage", "tenant.id=tenant-0")
    }
}

/// The ids of the copies. They sort before any that a service generates later.
#[derive(Clone, Copy)]
struct Ids {
    begin_ms: u64,
    step_ms: u64,
}

impl Ids {
    fn new(n_rows: u64) -> anyhow::Result<Self> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        Ok(Self {
            begin_ms: u64::try_from(now.as_millis())? - SPREAD_MS,
            step_ms: SPREAD_MS / (n_rows + 1),
        })
    }

    fn get(self, n: u64) -> String {
        let millis = format!("{:012x}", self.begin_ms + n * self.step_ms);
        format!("{}-{}-7000-8000-{n:012x}", &millis[..8], &millis[8..])
    }

    /// The id of the copy `i` in SQL.
    fn sql(self, kind: StoreKind) -> String {
        let hex = |number: &str| match kind {
            StoreKind::Postgres => format!("lpad(to_hex({number}), 12, '0')"),
            StoreKind::Memory | StoreKind::Sqlite => format!("printf('%012x', {number})"),
        };
        let millis = hex(&format!("{} + i::bigint * {}", self.begin_ms, self.step_ms));
        let millis = match kind {
            StoreKind::Postgres => millis,
            StoreKind::Memory | StoreKind::Sqlite => millis.replace("::bigint", ""),
        };
        let n = hex("i");
        format!("substr({millis}, 1, 8) || '-' || substr({millis}, 9, 4) || '-7000-8000-' || {n}")
    }
}

/// SQL that copies the decisions of the tenant `default` to another tenant until there are `n_rows`,
/// with the rows of all tables that later requests read: failed checks, hash chain, cap usage,
/// purchases and idempotency keys.
fn filling_sql(kind: StoreKind, n_rows: u64, ids: Ids) -> String {
    let date = match kind {
        StoreKind::Postgres => "(date '2020-01-01' + i / 10000)::text",
        StoreKind::Memory | StoreKind::Sqlite => {
            "date('2020-01-01', '+' || (i / 10000) || ' days')"
        }
    };
    let id = ids.sql(kind);
    // The views read the records of a decision by the tenant that its document names.
    let document = format!(
        r#"replace(replace(document, id, {id}), '"tenant_id":"default"', '"tenant_id":"tenant-0"')"#
    );
    let numbers = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n_rows})"
    );
    let hash = "0".repeat(64);
    format!(
        "CREATE TABLE template AS SELECT row_number() OVER (ORDER BY id) - 1 AS k, decision.* FROM decision;
         BEGIN;
         INSERT INTO decision (id, tenant_id, user_id, outcome, category, trace_id, document, amount_minor, currency,
           expense_date, standing, pending_role, share_minor)
           {numbers} SELECT {id}, 'tenant-0', 'user-' || (i % 10000), outcome, category, trace_id,
           {document}, 500 + (i % 9973) * 7, currency, {date}, standing, pending_role, share_minor
           FROM n JOIN template ON k = i % 4;
         INSERT INTO failed_validation (tenant_id, type, decision_id)
           {numbers} SELECT 'tenant-0', failed_validation.type, {id} FROM n JOIN template ON k = i % 4
           JOIN failed_validation ON failed_validation.decision_id = template.id;
         INSERT INTO chain (tenant_id, seq, record_id, hash) {numbers} SELECT 'tenant-0', i, {id}, '{hash}' FROM n;
         INSERT INTO chain_head (tenant_id, seq, hash) VALUES ('tenant-0', {n_rows}, '{hash}');
         INSERT INTO cap_usage (tenant_id, user_id, category, currency, time_window, window_key, used_minor)
           {numbers} SELECT 'tenant-0', 'user-' || (i % 10000), 'meals', 'USD', 'day', {date}, 1000 FROM n;
         INSERT INTO cap_usage (tenant_id, user_id, category, currency, time_window, window_key, used_minor)
           {numbers} SELECT 'tenant-0', 'user-' || i, 'meals', 'USD', 'year', '2020', 1000 FROM n WHERE i < 10000;
         INSERT INTO merchant_usage (tenant_id, user_id, category, currency, merchant, expense_date, decision_id,
           amount_minor)
           {numbers} SELECT 'tenant-0', 'user-' || (i % 10000), 'meals', 'USD', 'caffe nero', {date}, {id}, 1000 FROM n;
         INSERT INTO idempotency (tenant_id, idem_key, fingerprint, decision_id, leased_until, expires_at)
           {numbers} SELECT 'tenant-0', 'key-' || i, '{hash}', {id}, 0, 9999999999999 FROM n;
         COMMIT;
         DROP TABLE template;"
    )
}
