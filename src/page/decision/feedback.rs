//! Feedback on a decision: what people said of it, and the form to say something. A resolution is
//! feedback too, and is listed with it.

use axum::http::Method;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::domain::body::MAX_TEXT_CHARS;
use crate::domain::feedback::{Feedback, FeedbackName, FeedbackSource};
use crate::keys::ApiKey;
use crate::ledger::StoredDecision;
use crate::page::PageState;
use crate::page::decision::head;
use crate::page::failure::Failure;
use crate::page::form::FormFields;
use crate::page::format;
use crate::page::resolve::act::Refused;
use crate::page::resolve::form::actor_field;
use crate::page::viewer::Viewer;
use crate::policy::Policies;
use crate::spelling::is_same_person;

/// What a person can say, apart from the category: the name and the label, and the words for both.
const SAYINGS: [(&str, &str); 5] = [
    ("decision:right", "The decision is right"),
    ("decision:wrong", "The decision is wrong"),
    ("reason:useful", "The reason is useful"),
    ("reason:not_useful", "The reason is not useful"),
    ("note:", "A note"),
];

/// The feedback that holds, and the form.
pub(super) fn section(
    stored: &StoredDecision,
    feedback: &[Feedback],
    viewer: &Viewer,
    policies: &Policies,
    (actor, typed): (Option<&str>, Option<&FormFields>),
) -> Markup {
    // With the fragment, the browser stays at this section when the form is refused.
    let path = head::path_below(viewer, stored.decision.id, "feedback");
    let action = format!("{path}#feedback");
    html! {
        @if feedback.is_empty() { p.muted { "None yet." } }
        (list(feedback, |given| {
            can_take_back(given, viewer.identity.api_key.as_deref(), actor).then(|| take_back(given, &action))
        }))
        @match &viewer.identity.api_key {
            Some(key) => { (form(stored, &action, key, policies, (actor, typed))) }
            None => { p.muted.small { "To give feedback, log in with a key." } }
        }
    }
}

/// What people said, each with what its author can do with it.
pub(in crate::page) fn list(
    feedback: &[Feedback],
    act: impl Fn(&Feedback) -> Option<Markup>,
) -> Markup {
    html! {
        @if !feedback.is_empty() {
            ul.events {
                @for given in feedback {
                    li {
                        (format::time(given.given_at)) " " b { (given.author) }
                        @match given.source {
                            FeedbackSource::Resolution => { span.muted { " (by the resolution)" } }
                            FeedbackSource::Employee => { span.muted { " (the employee, or who handed it in)" } }
                            FeedbackSource::Person => {}
                        }
                        ": " (words(given))
                        @if let Some(comment) = &given.comment { " “" (comment) "”" }
                        @if let Some(act) = act(given) { " " (act) }
                    }
                }
            }
        }
    }
}

fn words(given: &Feedback) -> String {
    let label = given.label.as_deref().unwrap_or_default();
    match given.name {
        FeedbackName::Category => format!("the category should be {label}"),
        FeedbackName::Decision => format!("the decision is {label}"),
        FeedbackName::Reason => format!("the reason is {}", label.replace('_', " ")),
        FeedbackName::Note => "a note".to_owned(),
    }
}

fn can_take_back(given: &Feedback, key: Option<&ApiKey>, actor: Option<&str>) -> bool {
    let person = key.and_then(|key| key.user_id.as_deref().or(actor));
    given.source != FeedbackSource::Resolution
        && person.is_some_and(|person| is_same_person(person, &given.author))
}

fn take_back(given: &Feedback, action: &str) -> Markup {
    html! {
        form.inline data-once method="post" action=(action) {
            input type="hidden" name="say" value=(format!("{}:", given.name));
            input type="hidden" name="actor" value=(given.author);
            button name="take_back" value="yes" { "Take back" }
        }
    }
}

fn form(
    stored: &StoredDecision,
    action: &str,
    key: &ApiKey,
    policies: &Policies,
    (actor, typed): (Option<&str>, Option<&FormFields>),
) -> Markup {
    let typed = |name: &'static str| typed.and_then(|typed| typed.get(name));
    let decided = stored.decision.category.as_deref();
    let categories = policies
        .categories()
        .filter(|category| decided != Some(category));
    let categories = categories.map(|category| {
        let saying = format!("category:{category}");
        (saying, format!("The category should be {category}"))
    });
    let own = |(saying, words): (&str, &str)| (saying.to_owned(), words.to_owned());
    let sayings = SAYINGS.into_iter().map(own).chain(categories);
    html! {
        form data-once method="post" action=(action) {
            div.fields {
                @if key.user_id.is_none() { (actor_field(typed("actor").or(actor))) }
                label { "Feedback"
                    select name="say" {
                        @for (saying, words) in sayings {
                            option value=(saying) selected[typed("say") == Some(&*saying)] { (words) }
                        }
                    }
                }
                label.wide { "Comment" input name="comment" maxlength=(MAX_TEXT_CHARS) value=[typed("comment")]; }
                button { "Send" }
            }
        }
    }
}

/// Sends what a person said to the API.
pub(super) async fn give(
    page: &PageState,
    viewer: &Viewer,
    stored: &StoredDecision,
    fields: &FormFields,
) -> Result<Result<(), Refused>, Failure> {
    let (name, label) = fields
        .get("say")
        .and_then(|saying| saying.split_once(':'))
        .unwrap_or_default();
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let mut path = format!(
        "/v1/expenses/{}/feedback/{}",
        stored.decision.id,
        encode(name)
    );
    // The person of a key acts under their own name, in whatever spelling the form has.
    let key = viewer.identity.api_key.as_deref();
    let names_person = key.is_some_and(|key| key.user_id.is_some());
    let actor = fields.get("actor").filter(|_| !names_person);
    let answer = if fields.get("take_back").is_some() {
        if let Some(actor) = actor {
            path.push_str(&format!("?actor={}", encode(actor)));
        }
        page.api
            .send(viewer, Method::DELETE, &path, &Value::Null)
            .await?
    } else {
        let given = [
            ("label", Some(label).filter(|label| !label.is_empty())),
            ("comment", fields.get("comment")),
            ("actor", actor),
        ];
        let body: Map<String, Value> = given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
            .collect();
        page.api
            .send(viewer, Method::PUT, &path, &body.into())
            .await?
    };
    Ok(match answer.status.is_success() {
        true => Ok(()),
        false => Err(Refused {
            status: answer.status,
            words: answer.problem(),
        }),
    })
}
