//! The group of employees that an expense counts for. A rule can widen a limit for a group, so
//! employees do not choose their own: the API key says it, or else the table of people, or else the
//! request of a program that acts for several people.

use crate::domain::expense::Expense;
use crate::domain::facts::{FactName, FactValue};
use crate::http::error::Problem;
use crate::keys::ApiKey;
use crate::rulebook::people::People;
use crate::spelling::is_same_person;

/// Sets the group of the employee of an expense, whose body may state one. `people` is the table of
/// the tenant, if it has one.
///
/// # Errors
/// When the body states a group that the caller may not choose.
pub(super) fn settle(
    api_key: Option<&ApiKey>,
    people: Option<&People>,
    expense: &mut Expense,
) -> Result<(), Problem> {
    let name = FactName::EmployeeGroup;
    let stated = expense.facts.remove(name);
    let refusal = match (api_key, people) {
        (Some(key), _) if key.user_id.is_some() => {
            "the key of a person cannot choose a group, which comes from the file of keys or from \
             tables/people.toml; omit this field"
        }
        (None, Some(_)) => {
            "a request without a key cannot choose a group where tables/people.toml says who is in \
             which; omit this field"
        }
        _ => "",
    };
    if stated.is_some() && !refusal.is_empty() {
        return Err(Problem::invalid_field(name.into(), refusal));
    }
    let employee = &expense.user_id;
    let of_key = api_key
        // The key of a person says nothing about other people for whom that person hands in.
        .filter(|key| {
            let holder = key.user_id.as_deref();
            holder.is_none_or(|holder| is_same_person(holder, employee))
        })
        .and_then(|key| key.group.as_deref());
    let known = of_key.or_else(|| people?.group(employee));
    let known = known.map(|group| FactValue::Text(group.to_owned()));
    if let Some(group) = known.or(stated) {
        expense.facts.set(name, group);
    }
    Ok(())
}
