//! The load: expenses of many people, either from clients that each wait for their answer
//! (saturation), or at a fixed rate that does not wait. At a fixed rate, latency is measured from
//! the moment at which the request was due, so that a service that stalls cannot hide the requests
//! that it delayed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use hdrhistogram::Histogram;
use jiff::ToSpan;
use jiff::civil::Date;
use reqwest::{Client, RequestBuilder};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The day of the first meals.
const FIRST_DAY: Date = Date::constant(2020, 1, 1);
/// The maximum number of concurrent requests at a fixed rate: the default limit of the service.
const MAX_CONCURRENT: usize = 256;

/// How requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// This many clients, each with one request in flight all the time.
    Saturation(usize),
    /// This many requests a second.
    Rate(u32),
}

/// The employees: one meal a day each, so that no cap denies a meal and none looks like a
/// duplicate.
#[derive(Clone, Copy)]
pub(crate) struct People {
    /// The number of tenants; each employee belongs to one.
    pub(crate) n_tenants: u64,
    /// The number of employees.
    pub(crate) n_users: u64,
}

impl Default for People {
    fn default() -> Self {
        Self {
            n_tenants: 16,
            n_users: 10_000,
        }
    }
}

/// The meals that are sent to one service.
#[derive(Clone)]
pub(crate) struct Meals {
    client: Client,
    url: Arc<str>,
    people: People,
    n_meals: Arc<AtomicU64>,
}

impl Meals {
    /// No meals yet.
    pub(crate) fn new(origin: &str, people: People) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().tcp_nodelay(true).build()?;
        Ok(Self {
            client,
            url: format!("{origin}/v1/expenses").into(),
            people,
            n_meals: Arc::default(),
        })
    }

    /// The request for the next meal.
    pub(crate) fn next(&self) -> RequestBuilder {
        let n = self.n_meals.fetch_add(1, Ordering::Relaxed);
        let user = n % self.people.n_users;
        let n_days = n / self.people.n_users;
        let date = FIRST_DAY.saturating_add(i64::try_from(n_days).unwrap_or(i64::MAX).days());
        let cents = 1_000 + (n_days * 7 + user) % 1_500;
        let body = format!(
            r#"{{"transaction":"Lunch with the team","merchant":"Caffe Nero","mcc":"5812","amount":"{}.{:02}","date":"{date}","receipt":true,"user_id":"user-{user}"}}"#,
            cents / 100,
            cents % 100,
        );
        self.client
            .post(&*self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(
                "baggage",
                format!("tenant.id=tenant-{}", user % self.people.n_tenants),
            )
            .body(body)
    }
}

/// The results of a load.
#[derive(Clone)]
pub(crate) struct Answered {
    /// Latencies of decisions in microseconds.
    pub(crate) latencies: Histogram<u64>,
    /// Requests without a decision.
    pub(crate) n_failed: u64,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
}

impl Answered {
    /// No results yet.
    pub(crate) fn none() -> anyhow::Result<Self> {
        let latencies = Histogram::new_with_bounds(1, 60_000_000, 3)?;
        Ok(Self {
            latencies,
            n_failed: 0,
            elapsed: Duration::ZERO,
        })
    }

    /// The number of decisions.
    pub(crate) fn n_decisions(&self) -> u64 {
        self.latencies.len()
    }

    /// Decisions a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.n_decisions() as f64 / self.elapsed.as_secs_f64()
    }

    /// Adds the results of another load, or of another client of the same load.
    pub(crate) fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.latencies.add(&other.latencies)?;
        self.n_failed += other.n_failed;
        self.elapsed += other.elapsed;
        Ok(())
    }
}

/// Sends meals at a pace for a while.
pub(crate) async fn drive(
    meals: &Meals,
    pace: Pace,
    duration: Duration,
) -> anyhow::Result<Answered> {
    let begin = Instant::now();
    let (n_clients, timetable) = match pace {
        Pace::Saturation(n_clients) => (n_clients, None),
        Pace::Rate(rate) => (
            MAX_CONCURRENT,
            Some(Arc::new(Mutex::new(keep_time(begin, rate, duration)))),
        ),
    };
    let clients: Vec<_> = (0..n_clients)
        .map(|_| tokio::spawn(client(meals.clone(), timetable.clone(), begin + duration)))
        .collect();
    let mut answered = Answered::none()?;
    for client in clients {
        answered.add(&client.await??)?;
    }
    answered.elapsed = begin.elapsed();
    ensure!(answered.n_decisions() > 0, "the service decided nothing");
    Ok(answered)
}

/// Sends the moment of each request when it is due. It runs on a separate thread, because timers of
/// the runtime have a resolution of a millisecond, which is as long as a request takes.
fn keep_time(begin: Instant, rate: u32, duration: Duration) -> UnboundedReceiver<Instant> {
    let (due, timetable) = unbounded_channel();
    std::thread::spawn(move || {
        let dues = (0..).map(|n| begin + Duration::from_secs(1) * n / rate);
        for at in dues.take_while(|at| *at < begin + duration) {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if due.send(at).is_err() {
                return;
            }
        }
    });
    timetable
}

/// One client: sends a request when it is due, and waits for the answer.
async fn client(
    meals: Meals,
    timetable: Option<Arc<Mutex<UnboundedReceiver<Instant>>>>,
    end: Instant,
) -> anyhow::Result<Answered> {
    let mut answered = Answered::none()?;
    loop {
        let due = match &timetable {
            Some(timetable) => timetable.lock().await.recv().await,
            None => Some(Instant::now()).filter(|now| *now < end),
        };
        let Some(due) = due else { return Ok(answered) };
        let decided = async {
            let response = meals.next().send().await?;
            let status = response.status();
            response
                .bytes()
                .await
                .map(|_| status == StatusCode::CREATED)
        };
        match decided.await {
            Ok(true) => answered
                .latencies
                .saturating_record(u64::try_from(due.elapsed().as_micros())?),
            Ok(false) | Err(_) => answered.n_failed += 1,
        }
    }
}
