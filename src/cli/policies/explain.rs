//! `policies explain`: what each rule says of one expense, and the verdict that follows.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use jiff::civil::Date;
use rust_decimal::Decimal;

use super::judging::{Given, Judgement, Used};
use super::test::json_name;
use crate::agent::lookup::Found;
use crate::clock::Clock;
use crate::domain::body::BodyError;
use crate::domain::expense::{ANONYMOUS, Expense, calendar_date};
use crate::domain::money;
use crate::domain::ruling::Finding;
use crate::domain::submission::{self, Defaults};
use crate::policy::evaluate::RuleFacts;
use crate::rulebook::{Rulebook, Rulebooks};

/// The most decimals of an amount in any currency.
const MAX_DECIMALS: u32 = 4;

/// The arguments of `policies explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The folder of policies [default: the folder of `--policies`]
    pub dir: Option<PathBuf>,

    /// The expense as JSON, as for `POST /v1/expenses`; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub expense: PathBuf,

    /// The category [default: the one to which the evidence points]
    #[arg(long)]
    pub category: Option<String>,

    /// The tenant whose policies apply
    #[arg(long)]
    pub tenant: Option<String>,

    /// The day on which the expense is handed in [default: today, UTC]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_day)]
    pub today: Option<Date>,

    /// What the employee has used of a cap before, by its id or its window, such as day=60.00; may be
    /// repeated
    #[arg(long, value_name = "CAP=AMOUNT", value_parser = parse_used)]
    pub used: Vec<(String, Decimal)>,

    /// What a plan that a person approved allows the expense to cost
    #[arg(long, value_name = "AMOUNT", value_parser = parse_amount)]
    pub planned: Option<Decimal>,
}

/// Explains the verdict on an expense.
///
/// # Errors
/// With every problem of the policies or of the expense.
pub fn explain(wanted: &Explain, shipped: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let rulebooks = Rulebooks::load(wanted.dir.as_deref().unwrap_or(shipped))?;
    let rulebook = wanted
        .tenant
        .as_ref()
        .map_or(&rulebooks.shared, |tenant| rulebooks.rulebook(tenant));
    let today = wanted.today.unwrap_or_else(|| Clock::system().today());
    let given = Given {
        category: wanted.category.clone(),
        today,
        expense: read_expense(wanted, today)?,
        used: Used {
            caps: wanted.used.clone(),
            planned: wanted.planned,
            ..Used::default()
        },
    };
    let judgement = given.judge(rulebook);
    if !judgement.unknown.is_empty() {
        bail!("{}", judgement.unknown.join("\n"));
    }
    let expense = &given.expense;
    let (amount, currency, date) = (expense.amount, expense.currency, expense.date);
    writeln!(
        out,
        "expense   {amount} {currency} on {date}, handed in on {today}"
    )?;
    writeln!(out, "category  {}", category(&given, &judgement))?;
    match &judgement.found {
        Ok(found) => rules(found, rulebook, date, out)?,
        Err(_) => writeln!(out)?,
    }
    writeln!(out, "verdict   {}", judgement.outcome())?;
    if let Some(why) = judgement.why_review() {
        writeln!(out, "          {why}")?;
    }
    if let Ok(found) = &judgement.found {
        conclusion(found, out)?;
    }
    Ok(())
}

fn read_expense(wanted: &Explain, today: Date) -> anyhow::Result<Expense> {
    let name = wanted.expense.display();
    let mut body = Vec::new();
    if wanted.expense.as_os_str() == "-" {
        std::io::stdin().lock().read_to_end(&mut body)?;
    } else {
        body = std::fs::read(&wanted.expense).with_context(|| format!("{name} cannot be read"))?;
    }
    let defaults = Defaults {
        date: today,
        user_id: ANONYMOUS.to_owned(),
    };
    match submission::parse(&body, defaults) {
        Ok(submitted) => Ok(submitted.expense),
        Err(BodyError::Fields(errors)) => {
            let errors: Vec<String> = errors
                .iter()
                .map(|error| format!("{name}: `{}`: {}", error.field, error.message))
                .collect();
            bail!("{}", errors.join("\n"))
        }
        Err(error) => Err(error).with_context(|| name.to_string()),
    }
}

/// The category, and who chose it.
fn category(given: &Given, judgement: &Judgement) -> String {
    let chosen = if given.category.is_some() {
        "as asked"
    } else if judgement.has_evidence {
        "by the evidence"
    } else {
        "nothing points to a category, so the model would choose"
    };
    format!("{} ({chosen})", judgement.category)
}

/// Each rule of the policy, with what it says.
fn rules(
    found: &Found,
    rulebook: &Rulebook,
    date: Date,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let policy = &found.policy;
    writeln!(
        out,
        "policy    version {}, sha256 {}",
        policy.version, policy.hash
    )?;
    if let Some(converted) = &found.facts.converted_amount {
        let (amount, currency, rate) = (converted.amount, converted.currency, converted.rate);
        writeln!(out, "          {amount} {currency} at the rate {rate}")?;
    }
    writeln!(out)?;
    let all = rulebook.policies.in_force(&policy.id, date);
    for rule in all.into_iter().flat_map(|policy| &policy.rules) {
        let in_force = found.facts.policy.rules.iter();
        let said = match in_force.clone().find(|facts| facts.rule.id == rule.id) {
            None => "does not hold".to_owned(),
            Some(facts) => said(found, facts),
        };
        writeln!(out, "{}: {said}", rule.id)?;
        writeln!(out, "    {}", rule.text)?;
        if !rule.conditions.is_empty() {
            writeln!(out, "    Condition: {}.", rule.conditions)?;
        }
    }
    writeln!(out)?;
    Ok(())
}

/// What one rule says of the expense.
fn said(found: &Found, facts: &RuleFacts) -> String {
    let finding = facts.assess(&found.facts.subject());
    if !found.verdict.has_found(&facts.rule.id) {
        return if facts.rule.counter().is_some() {
            format!("allows it; {}", used_of(&finding))
        } else {
            "allows it".to_owned()
        };
    }
    let effect = finding.effect;
    if facts.rule.counter().is_some() || !finding.used.is_zero() {
        let exceeded = finding.exceeded;
        return format!("{effect}, {exceeded} too much; {}", used_of(&finding));
    }
    if finding.limit.is_zero() {
        return effect.to_string();
    }
    format!(
        "{effect}, because {} is above {}",
        finding.amount, finding.limit
    )
}

fn used_of(finding: &Finding) -> String {
    format!(
        "the limit is {}, {} is used before, {} is left",
        finding.limit, finding.used, finding.allowable
    )
}

/// Who has to approve, what is missing, what can be paid, and who may set a denying rule aside.
fn conclusion(found: &Found, out: &mut dyn Write) -> anyhow::Result<()> {
    let verdict = &found.verdict;
    let approvers = verdict.approvers.roles();
    if !approvers.is_empty() {
        let approvers: Vec<String> = approvers.iter().map(ToString::to_string).collect();
        writeln!(out, "approver  {}", approvers.join(", then "))?;
    }
    if !verdict.missing.is_empty() {
        let missing: Vec<String> = verdict.missing.iter().map(json_name).collect();
        writeln!(out, "missing   {}", missing.join(", "))?;
    }
    let payable = verdict.reimbursable(found.amount());
    if payable != found.amount() {
        writeln!(out, "payable   {payable} {}", found.facts.policy.currency)?;
    }
    for (rule, role) in &found.exceptions {
        if verdict.has_found(rule) {
            writeln!(out, "          {role} may set {rule} aside")?;
        }
    }
    Ok(())
}

fn parse_day(text: &str) -> Result<Date, String> {
    calendar_date(text).ok_or_else(|| "write a calendar date such as 2026-03-14".to_owned())
}

fn parse_amount(text: &str) -> Result<Decimal, String> {
    money::parse_amount(text, MAX_DECIMALS).map_err(|error| error.to_string())
}

fn parse_used(text: &str) -> Result<(String, Decimal), String> {
    let accepted = "write a cap or a window, and an amount, such as day=60.00";
    let (cap, amount) = text.split_once('=').ok_or(accepted)?;
    let amount = money::parse_amount(amount, MAX_DECIMALS).map_err(|_| accepted)?;
    Ok((cap.to_owned(), amount.normalize()))
}
