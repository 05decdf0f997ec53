//! What people say of a decision: the body of the request, and the record that is kept. Records are
//! only added: the latest of one author under one name holds. What a resolution says of the decision
//! is derived when feedback is read, in `overturned`, so that it is stored once. Who may give
//! feedback is in `agent::feedback`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray, VariantNames};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::body::{BodyError, Fields, ID, MAX_ID_CHARS, TEXT, free_text, line};
use crate::spelling::is_same_person;

const EXAMPLE: &str = r#"{"label": "wrong", "comment": "This was a team event.", "actor": "ben"}"#;
const FIELDS: [&str; 3] = ["label", "comment", "actor"];

/// What the feedback is about.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FeedbackName {
    /// The whole decision: `right` or `wrong`.
    Decision,
    /// The category that the expense should have had.
    Category,
    /// The reason that the employee reads: `useful` or `not_useful`.
    Reason,
    /// A comment without a label.
    Note,
}

impl FeedbackName {
    /// The labels, each with its score: 1 speaks for the decision and 0 against it. Empty for
    /// [`FeedbackName::Category`], whose labels are the categories of the policies, and for
    /// [`FeedbackName::Note`], which has none.
    pub fn labels(self) -> &'static [(&'static str, u8)] {
        match self {
            Self::Decision => &[("right", 1), ("wrong", 0)],
            Self::Reason => &[("useful", 1), ("not_useful", 0)],
            Self::Category | Self::Note => &[],
        }
    }
}

/// Who gave the feedback, in relation to the expense.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Display, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FeedbackSource {
    /// The person who resolved the decision, by the resolution.
    Resolution,
    /// A person who neither is the employee nor handed the expense in.
    Person,
    /// The employee, or a person who handed the expense in.
    Employee,
}

/// The body of `PUT /v1/expenses/{id}/feedback/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"label": "wrong", "comment": "This was a team event.", "actor": "ben"}))]
pub struct FeedbackRequest {
    /// `right` or `wrong` for `decision`; the category that the expense should have had for
    /// `category`; `useful` or `not_useful` for `reason`. A `note` has no label.
    pub label: Option<String>,
    /// Why: 1 to 2,000 characters. A `note` requires it.
    pub comment: Option<String>,
    /// The person who gives the feedback: 1 to 128 characters. Default: the user of the key.
    pub actor: Option<String>,
}

/// What one person said of one decision under one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Feedback {
    /// UUIDv7 of the record. Feedback that a resolution implies has the id of the resolution.
    pub id: Uuid,
    /// The decision that it is about.
    pub expense_id: Uuid,
    /// What it is about.
    pub name: FeedbackName,
    /// The label; absent from a note, and when the author takes feedback back.
    pub label: Option<String>,
    /// Why, in the person's words.
    pub comment: Option<String>,
    /// The person who gave it.
    pub author: String,
    /// The id of the API key of the request.
    pub api_key: String,
    /// Who that is, in relation to the expense.
    pub source: FeedbackSource,
    /// Whether the author takes back what they had said under this name.
    pub taken_back: bool,
    /// The tenant that the decision belongs to.
    pub tenant_id: String,
    /// The trace of the request: 32 hex digits.
    pub trace_id: String,
    /// When the request came in.
    #[schema(value_type = String, format = DateTime)]
    pub given_at: Timestamp,
}

impl Feedback {
    /// Whether it takes the place of another one: the same person said it under the same name.
    pub fn replaces(&self, other: &Self) -> bool {
        self.name == other.name && is_same_person(&self.author, &other.author)
    }

    /// Whether it says the same as another one.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        (self.taken_back, &self.label, &self.comment)
            == (other.taken_back, &other.label, &other.comment)
    }

    /// 1 if it speaks for the decision, 0 if it speaks against it, absent if it says neither.
    pub fn score(&self) -> Option<u8> {
        let given = self.label.as_deref()?;
        let mut labels = self.name.labels().iter();
        labels
            .find(|(label, _)| *label == given)
            .map(|(_, score)| *score)
    }
}

/// Parses the body of a request to give feedback under this name. Whether the label of
/// [`FeedbackName::Category`] is a category is checked by the agent, which has the policies.
///
/// # Errors
/// [`BodyError::NotJson`] for broken JSON, [`BodyError::Fields`] with every error otherwise.
pub fn parse(body: &[u8], name: FeedbackName) -> Result<FeedbackRequest, BodyError> {
    let mut fields = Fields::read(body, &FIELDS, EXAMPLE)?;
    let label = label(&mut fields, name);
    let comment = match name {
        FeedbackName::Note => fields.required("comment", TEXT, free_text).map(Some),
        _ => fields.optional("comment", TEXT, free_text),
    };
    let actor = fields.optional("actor", ID, |raw| line(raw, MAX_ID_CHARS));
    let request = label
        .zip(comment)
        .zip(actor)
        .map(|((label, comment), actor)| FeedbackRequest {
            label,
            comment,
            actor,
        });
    fields.finish(request)
}

fn label(fields: &mut Fields, name: FeedbackName) -> Option<Option<String>> {
    match name {
        FeedbackName::Category => {
            let category = |raw: &str| line(raw, MAX_ID_CHARS);
            fields.required("label", ID, category).map(Some)
        }
        FeedbackName::Note => {
            let accepted =
                "a note has no label; omit it, and write what you have to say as comment";
            fields.optional("label", accepted, |_| None)
        }
        FeedbackName::Decision | FeedbackName::Reason => {
            let names: Vec<&str> = name.labels().iter().map(|(label, _)| *label).collect();
            let accepted = format!("write one of {}", names.join(", "));
            let one_of =
                |raw: &str| line(raw, MAX_ID_CHARS).filter(|label| names.contains(&label.as_str()));
            fields.required("label", &accepted, one_of).map(Some)
        }
    }
}

/// The feedback that holds, from the records of a decision in the order of the hash chain: the latest
/// of each author under each name, in that order, without what was taken back.
pub fn standing(records: Vec<Feedback>) -> Vec<Feedback> {
    let mut standing: Vec<Feedback> = Vec::new();
    for record in records {
        standing.retain(|earlier| !record.replaces(earlier));
        standing.push(record);
    }
    standing.retain(|feedback| !feedback.taken_back);
    standing
}
