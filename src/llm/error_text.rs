//! An endpoint's error message, made fit to be shown: one line, redacted and cut, without markup, and
//! without what it repeats of the request. Where the message is found is in `failure`.

use std::sync::LazyLock;

use regex::Regex;

use crate::llm::Message;
use crate::redact::redact;

/// The longest piece of an endpoint's own words that is kept.
const MAX_SAID_CHARS: usize = 300;
/// How much of a body is searched for them.
const MAX_SEARCHED_CHARS: usize = 4_096;
/// The shortest run of characters that counts as a repetition of the request.
const ECHO_CHARS: usize = 12;

/// The text without the runs of characters that repeat the request: some endpoints quote a request
/// that they reject, and it contains what an employee wrote.
pub(super) fn without_echo(said: &str, sent: &[Message]) -> String {
    // A quotation may be escaped once more than the request, so backslashes are not compared.
    let plain = |text: &str| text.chars().filter(|c| *c != '\\').collect::<Vec<_>>();
    let said = plain(said);
    let sent: Vec<String> = sent
        .iter()
        .map(|message| plain(&message.text).into_iter().collect())
        .collect();
    let mut is_echo = vec![false; said.len()];
    for (start, run) in said.windows(ECHO_CHARS).enumerate() {
        let run: String = run.iter().collect();
        if sent.iter().any(|text| text.contains(&run)) {
            is_echo[start..start + ECHO_CHARS].fill(true);
        }
    }
    let mut kept = String::new();
    for (index, c) in said.iter().enumerate() {
        match (is_echo[index], index > 0 && is_echo[index - 1]) {
            (false, _) => kept.push(*c),
            (true, false) => kept.push('…'),
            (true, true) => {}
        }
    }
    kept
}

/// One line, redacted and cut; `None` when nothing is left.
pub(super) fn bounded(text: &str) -> Option<String> {
    let searched: String = text.chars().take(MAX_SEARCHED_CHARS).collect();
    let printable = searched.replace(char::is_control, " ");
    let line = printable.split_whitespace().collect::<Vec<_>>().join(" ");
    let redacted = redact(&line);
    let kept: String = redacted.chars().take(MAX_SAID_CHARS).collect();
    (!kept.is_empty()).then_some(kept)
}

/// The text of a page of HTML, as proxies answer; any other text as it is.
pub(super) fn without_tags(text: &str) -> String {
    static TAGS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("(?is)<style.*?</style>|<script.*?</script>|<[^>]*>")
            .expect("the pattern is a constant, and tests use it")
    });
    let text: String = text.chars().take(MAX_SEARCHED_CHARS).collect();
    if !text.trim_start().starts_with('<') {
        return text;
    }
    TAGS.replace_all(&text, " ").into_owned()
}
