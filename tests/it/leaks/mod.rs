//! Canaries: one secret of each kind, planted wherever a caller or a model can put a text, and
//! looked for in every byte that leaves the real program: OTLP over both protocols, log lines in
//! both formats, metrics, answers, and prompts. The whole run is in `canaries`; `switches` has what
//! a setting turns on or off.

mod canaries;
mod switches;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::harness::binary::Service;

/// One canary of each kind, and its replacement.
const CANARIES: [(&str, &str); 7] = [
    ("jane.canary@example.com", "[EMAIL]"),
    ("4012 8888 8888 1881", "[CARD]"),
    ("DE89 3704 0044 0532 0130 00", "[IBAN]"),
    ("+44 20 7946 0958", "[PHONE]"),
    ("078-05-1120", "[SSN]"),
    ("sk-canary-0123456789abcdef", "[SECRET]"),
    ("Bearer c4n4ry.t0k3n-0123", "[SECRET]"),
];

const KEY: (&str, &str) = ("EXPENSE_AGENT_PSEUDONYM_KEY", "the key of this test");

/// A text reduced to letters and digits, as a reader looking for a canary would see it.
fn squashed(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// Fails if any canary is in the text, regardless of blanks and dashes.
fn assert_clean(place: &str, text: &str) {
    let haystack = squashed(text);
    for (canary, _) in CANARIES {
        // The word before a token is not the secret.
        let needle = squashed(canary.trim_start_matches("Bearer "));
        if let Some(at) = haystack.find(&needle) {
            let around =
                &haystack[at.saturating_sub(60)..haystack.len().min(at + needle.len() + 60)];
            panic!("{canary} is in {place}: …{around}…");
        }
    }
}

/// The metrics page of a running service.
async fn metrics_page(service: &Service) -> String {
    let response = reqwest::get(format!("{}/metrics", service.url)).await;
    response.unwrap().text().await.unwrap()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
