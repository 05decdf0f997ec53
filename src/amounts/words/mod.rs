//! The words that say what a number is, in the languages in which models answer most often. All
//! lists are closed: a number beside an unknown word is an amount. Words that could just as well be
//! beside an amount, such as `may` and `total`, are not listed.

pub mod calendar;
pub mod counted;
pub mod money;

use std::collections::HashSet;
use std::sync::LazyLock;

/// A closed list of words, in lower case.
pub type Words = LazyLock<HashSet<&'static str>>;

fn words(list: &'static str) -> HashSet<&'static str> {
    list.split_whitespace().collect()
}
