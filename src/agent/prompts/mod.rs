//! What the model is asked: two fixed instruction texts, each with a version. The facts of one
//! expense are in [`facts`], the answers that come back in [`answers`].

pub mod answers;
pub mod facts;

use std::sync::LazyLock;

use strum::{EnumString, IntoStaticStr};

use crate::llm::Prompt;

/// Instructions of the step classify.
pub static CLASSIFY: LazyLock<Prompt> =
    LazyLock::new(|| Prompt::new("classify", "4", include_str!("classify.md")));

/// Instructions of the step decide.
pub static DECIDE: LazyLock<Prompt> =
    LazyLock::new(|| Prompt::new("decide", "7", include_str!("decide.md")));

/// The two forms an answer can have, by the names of their schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Schema {
    /// [`answers::CategoryAnswer`].
    Classification,
    /// [`answers::DecisionAnswer`].
    Decision,
}
