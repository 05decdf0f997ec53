//! The codes and words by which endpoints say what failed, and the HTTP status that each means.
//! `failure` finds the texts that are searched for them. The lists are in lower case and without
//! separators: `notfound` is found in `not_found`, `NOT FOUND` and `NotFound`.

/// The words for a quota that is used up, after which a retry is pointless. They come with status
/// 429, as does a rate limit, which passes. So the list has no words that also occur in the
/// messages of rate limits.
const USED_UP: [&str; 40] = [
    "insufficientquota",
    "insufficientuserquota",
    "insufficientbalance",
    "insufficientaccountbalance",
    "insufficientcredit",
    "insufficientfund",
    "notenoughbalance",
    "notenoughcredit",
    "balanceisinsufficient",
    "balanceisnotenough",
    "balancenotenough",
    "balanceistoolow",
    "creditbalance",
    "outofcredit",
    "nocreditsleft",
    "creditsexhausted",
    "exceededcurrentquota",
    "exceededyourcurrentquota",
    "exceededyourmonthly",
    "forthemonth",
    "forthismonth",
    "monthlyquota",
    "monthlylimit",
    "monthlyusage",
    "monthlybudget",
    "spendinglimit",
    "spendlimit",
    "budgetexceeded",
    "budgethasbeenexceeded",
    "paymentrequired",
    "hardlimitreached",
    "arrear",
    "overdue",
    "余额不足",
    "餘額不足",
    "欠费",
    "额度不足",
    "额度已用",
    "配额已用",
    "配额不足",
];
/// The words with which a proxy answers in place of an endpoint that it could not reach.
const UNREACHED: [&str; 17] = [
    "badgateway",
    "gatewaytimeout",
    "serviceunavailable",
    "temporarilyunavailable",
    "internalservererror",
    "upstreamconnecterror",
    "upstreamrequesttimeout",
    "upstreamserver",
    "nohealthyupstream",
    "noserverisavailable",
    "noavailableserver",
    "proxyerror",
    "connectionrefused",
    "connectiontimedout",
    "webserverisdown",
    "originisunreachable",
    "couldnotberetrieved",
];
/// Statuses, each with the words that mean it in a code, or in a message if no code means a status.
/// The first row with a match counts.
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
            "requestlimit",
            "限流",
            "频繁",
            "频率",
        ],
    ),
    (
        503,
        &[
            "overload",
            "unavailable",
            "insufficientsystemresource",
            "nocapacity",
            "繁忙",
            "过载",
        ],
    ),
    (504, &["deadlineexceeded", "timeout", "timedout", "超时"]),
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
            "invalidparam",
            "badrequest",
            "contextlength",
            "contentfilter",
            "contentpolicy",
        ],
    ),
    (500, &["internalerror", "servererror", "apierror"]),
];

/// Whether a code says that a quota is used up.
pub(super) fn is_used_up(code: &str) -> bool {
    says_used_up(code) || contains_any(code, &["billing"])
}

/// Whether a message says that a quota is used up. `billing` is no sign of that in a message,
/// because the messages of rate limits mention it too: customers who pay more get a higher limit.
pub(super) fn says_used_up(message: &str) -> bool {
    contains_any(message, &USED_UP)
}

/// Whether a text is that of a proxy that could not reach the endpoint.
pub(super) fn is_of_proxy(text: &str) -> bool {
    contains_any(text, &UNREACHED)
}

/// The code in a text that should be a code. A problem (RFC 9457) names its type by a URL or a URN,
/// whose last part may be a code: `overloaded` in `https://example.com/errors/overloaded`.
pub(super) fn code_of(text: String) -> Option<String> {
    let is_name = |part: &&str| {
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        // `rfc9110` only says where the status is defined.
        !part.is_empty() && part.chars().all(is_word) && !part.starts_with("rfc")
    };
    if text.starts_with("urn:") {
        let last = text.rsplit(':').next();
        return last.filter(is_name).map(str::to_owned);
    }
    let Some((_, place)) = text.split_once("//") else {
        return match text.starts_with("about:") {
            true => None,
            false => Some(text),
        };
    };
    let path = place.split(['?', '#']).next()?.trim_end_matches('/');
    let (_, last) = path.rsplit_once('/')?;
    Some(last).filter(is_name).map(str::to_owned)
}

/// The status in a numeric code: `429`, or the first three digits of `42901`, whose last two are
/// the endpoint's own.
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
    let joined = joined(text);
    STATUS_OF_WORD
        .iter()
        .find(|(_, words)| words.iter().any(|word| joined.contains(word)))
        .map(|(status, _)| *status)
}

/// Whether a text contains one of these words, in any case and with any separators.
fn contains_any(text: &str, words: &[&str]) -> bool {
    let joined = joined(text);
    words.iter().any(|word| joined.contains(word))
}

/// A text in lower case, without what separates the parts of its words.
fn joined(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .collect()
}
