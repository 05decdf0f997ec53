//! Texts compared word by word, as the documentation says it and as slowly as it can be said.

/// The words of a text: lower case, split at everything but letters and digits. An apostrophe inside a
/// word is dropped.
pub(super) fn words(text: &str) -> Vec<String> {
    let one_form = text.replace("e\u{301}", "é").replace('’', "'");
    let letters: Vec<char> = one_form.to_lowercase().chars().collect();
    let mut words = vec![String::new()];
    for (n, letter) in letters.iter().enumerate() {
        let is_inside = *letter == '\''
            && n > 0
            && letters[n - 1].is_alphanumeric()
            && letters
                .get(n + 1)
                .is_some_and(|next| next.is_alphanumeric());
        if letter.is_alphanumeric() {
            words.last_mut().unwrap().push(*letter);
        } else if !is_inside {
            words.push(String::new());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A text with Cyrillic letters replaced by the Latin ones that they look like.
fn look_alike(text: &str) -> String {
    let mut latin = text.to_owned();
    for (cyrillic, letter) in [("С", "C"), ("с", "c"), ("а", "a"), ("о", "o"), ("е", "e")] {
        latin = latin.replace(cyrillic, letter);
    }
    latin
}

/// The words of a text as it is written, and with look-alike letters replaced.
fn readings(text: &str) -> [Vec<String>; 2] {
    [words(text), words(&look_alike(text))]
}

/// How many words of a text a phrase takes from one of them on; none if it does not match there.
fn taken(phrase: &str, text: &[String]) -> Option<usize> {
    let wanted = words(phrase);
    for (n, word) in wanted.iter().enumerate() {
        let is_prefix = phrase.ends_with('*') && n + 1 == wanted.len();
        let matches = match text.get(n) {
            None => false,
            Some(found) if is_prefix => found.starts_with(word.as_str()),
            Some(found) => found == word,
        };
        if !matches {
            return None;
        }
    }
    Some(wanted.len())
}

fn occurs_in_words(phrase: &str, text: &[String]) -> bool {
    (0..text.len()).any(|n| taken(phrase, &text[n..]).is_some())
}

/// Whether a phrase occurs in a text as it is written.
pub(super) fn occurs(phrase: &str, text: &str) -> bool {
    occurs_in_words(phrase, &words(text))
}

/// Whether a phrase occurs in a text, even behind look-alike letters.
pub(super) fn is_hidden(phrase: &str, text: &str) -> bool {
    let readings = readings(text);
    readings.iter().any(|text| occurs_in_words(phrase, text))
}

/// The phrase that a text is blocked for. At each place the longest phrase counts, and takes its words.
pub(super) fn blocked_by(listed: &[String], but: &[String], text: &str) -> Option<String> {
    for text in readings(text) {
        let mut n = 0;
        while n < text.len() {
            let longest = |phrases: &[String]| {
                let matching = phrases.iter().filter_map(|phrase| {
                    let n_words = taken(phrase, &text[n..])?;
                    Some((
                        n_words,
                        !phrase.ends_with('*'),
                        phrase.len(),
                        phrase.clone(),
                    ))
                });
                matching.max()
            };
            let (blocked, allowed) = (longest(listed), longest(but));
            if let Some(blocked) = &blocked
                && (allowed.as_ref()).is_none_or(|allowed| {
                    (allowed.0, allowed.1, allowed.2) < (blocked.0, blocked.1, blocked.2)
                })
            {
                return Some(blocked.3.clone());
            }
            n += allowed.map_or(1, |allowed| allowed.0);
        }
    }
    None
}

/// A name in the spelling in which people, projects and trips are compared.
pub(super) fn name(text: &str) -> String {
    words(text).join(" ")
}

/// A merchant in the spelling in which merchants are compared.
pub(super) fn merchant(text: &str) -> String {
    name(&look_alike(text))
}
