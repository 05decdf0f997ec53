//! The facts of an expense on the page: as fields of the form that tries one, and as rows of a
//! decision.

use maud::{Markup, html};

use crate::domain::facts::{FactName, FactValue, Form};
use crate::page::form::FormFields;

/// The facts that the form to try an expense asks for: those that rules read most often.
pub(super) const COMMON: [FactName; 9] = [
    FactName::Purpose,
    FactName::Attendees,
    FactName::Nights,
    FactName::Place,
    FactName::Distance,
    FactName::DistanceUnit,
    FactName::Project,
    FactName::CostCenter,
    FactName::ReceiptUrl,
];

/// A field for a fact, with the value that was typed.
pub(super) fn field(name: FactName, form: &FormFields) -> Markup {
    let key: &str = name.into();
    let typed = form.get(key);
    html! {
        label {
            (label(name))
            @match name.declaration().form {
                Form::Choice(words) => select name=(key) {
                    option value="" { "–" }
                    @for word in words { option value=(word) selected[typed == Some(*word)] { (word) } }
                },
                Form::Count { .. } => input name=(key) value=[typed] inputmode="numeric";,
                Form::Distance => input name=(key) value=[typed] inputmode="decimal";,
                Form::Date => input type="date" name=(key) value=[typed];,
                Form::Url => input type="url" name=(key) value=[typed] placeholder="https://";,
                Form::Line { max } | Form::Text { max, .. } => input name=(key) value=[typed] maxlength=(max);,
                Form::Choices(_) | Form::Country => input name=(key) value=[typed];,
            }
        }
    }
}

/// The name of a fact, for people.
pub(super) fn label(name: FactName) -> String {
    let words = name.to_string().replace('_', " ").replace("url", "link");
    let first = words[..1].to_uppercase();
    first + &words[1..]
}

/// The value of a fact. The address of a receipt is a link, which nothing but the reader opens; it
/// tells the other site nothing about this one.
pub(super) fn value(name: FactName, value: &FactValue) -> Markup {
    let form = name.declaration().form;
    match value {
        FactValue::Text(text) if form == Form::Url && form.of_text(text).is_some() => {
            html! { a href=(text) rel="noreferrer noopener" { (text) } }
        }
        FactValue::Text(text) => html! { bdi { (text) } },
        other => html! { (other) },
    }
}
