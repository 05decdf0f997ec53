//! The codes by which endpoints say what failed, and the HTTP status that each means. Where the codes
//! are found is in `failure`.

/// The codes of a quota that is used up, for which a retry is pointless. They come with status 429,
/// as a rate limit does, which passes.
const USED_UP: [&str; 8] = [
    "insufficientquota",
    "exceededcurrentquota",
    "insufficientuserquota",
    "insufficientbalance",
    "insufficientcredit",
    "billing",
    "paymentrequired",
    "creditbalance",
];
/// The status that a code means, or a message if no code says more, by a word in it. The words are
/// written without what separates their parts.
const STATUS_OF_WORD: [(u16, &[&str]); 10] = [
    (422, &["unprocessable", "extraforbidden", "validationerror"]),
    (
        402,
        &[
            "insufficientbalance",
            "insufficientcredit",
            "billing",
            "paymentrequired",
        ],
    ),
    (
        429,
        &[
            "ratelimit",
            "toomanyrequests",
            "resourceexhausted",
            "throttl",
            "quota",
        ],
    ),
    (
        503,
        &[
            "overload",
            "unavailable",
            "insufficientsystemresource",
            "nocapacity",
        ],
    ),
    (504, &["deadlineexceeded", "timeout", "timedout"]),
    (
        401,
        &["unauthenticated", "unauthori", "authentication", "apikey"],
    ),
    (403, &["permission", "forbidden"]),
    (404, &["notfound", "doesnotexist"]),
    (
        400,
        &[
            "invalidrequest",
            "invalidargument",
            "badrequest",
            "contextlength",
            "contentfilter",
            "contentpolicy",
        ],
    ),
    (500, &["internalerror", "servererror", "apierror"]),
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

/// Whether a text contains one of these words, however they are written: `not_found`, `NOT FOUND`
/// and `NotFound` are the same.
fn contains_any(text: &str, words: &[&str]) -> bool {
    let joined: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    words.iter().any(|word| joined.contains(word))
}
