//! The codes by which endpoints say what failed, and the HTTP status that each means. Where the codes
//! are found is in `failure`.

/// The codes of a quota that is used up, for which a retry is pointless. They come with status 429,
/// as a rate limit does, which passes.
const USED_UP: [&str; 8] = [
    "insufficient_quota",
    "exceeded_current_quota",
    "insufficient_user_quota",
    "insufficient_balance",
    "insufficient_credit",
    "billing",
    "payment_required",
    "credit_balance",
];
/// The status that a code means, or a message if no code says more, by a word in it.
const STATUS_OF_WORD: [(u16, &[&str]); 10] = [
    (
        422,
        &["unprocessable", "extra_forbidden", "validation_error"],
    ),
    (
        402,
        &[
            "insufficient_balance",
            "insufficient_credit",
            "billing",
            "payment_required",
        ],
    ),
    (
        429,
        &[
            "rate_limit",
            "ratelimit",
            "too_many_requests",
            "resource_exhausted",
            "throttl",
            "quota",
        ],
    ),
    (
        503,
        &[
            "overloaded",
            "unavailable",
            "insufficient_system_resource",
            "no_capacity",
        ],
    ),
    (504, &["deadline_exceeded", "timeout", "timed_out"]),
    (
        401,
        &["unauthenticated", "unauthori", "authentication", "api_key"],
    ),
    (403, &["permission", "forbidden"]),
    (404, &["not_found", "does_not_exist"]),
    (
        400,
        &[
            "invalid_request",
            "invalid_argument",
            "bad_request",
            "context_length",
            "content_filter",
            "content_policy",
        ],
    ),
    (500, &["internal", "server_error", "api_error"]),
];

/// Whether the code says that a quota is used up.
pub(super) fn is_used_up(code: &str) -> bool {
    contains_any(code, &USED_UP)
}

/// The status in a numeric code: `429`, or `42901` with a number of the endpoint's own behind it.
pub(super) fn status_of_number(code: &str) -> Option<u16> {
    let number: u32 = code.parse().ok()?;
    let status = match number {
        40_000..=59_999 => number / 100,
        _ => number,
    };
    u16::try_from(status)
        .ok()
        .filter(|status| (400..600).contains(status))
}

/// The status that a word in a code or a message means.
pub(super) fn status_of_word(text: &str) -> Option<u16> {
    STATUS_OF_WORD
        .iter()
        .find(|(_, words)| contains_any(text, words))
        .map(|(status, _)| *status)
}

/// Whether a text contains one of these words, however its words are joined.
fn contains_any(text: &str, words: &[&str]) -> bool {
    let joined = text
        .to_ascii_lowercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    words.iter().any(|word| joined.contains(word))
}
