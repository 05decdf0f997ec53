//! How one kind of rule applies to one expense: the limit, what the limit adds up over, and what an
//! amount above it leads to. What follows for the expense is in `evaluate`.

use jiff::civil::Date;
use rust_decimal::Decimal;

use crate::domain::facts::FactName;
use crate::domain::receipt::Receipt;
use crate::domain::ruling::{Missing, Window};
use crate::policy::effect::Effect;
use crate::policy::mcc::Codes;
use crate::policy::phrase::{Phrase, Readings, Words};
use crate::policy::rule::{ReceiptForm, RuleKind};
use crate::policy::subject::Subject;

/// How a rule applies to one expense.
pub(super) struct Terms {
    pub(super) limit: Decimal,
    /// What the limit adds up over.
    pub(super) window: Window,
    /// What an amount above the limit leads to.
    pub(super) effect: Effect,
    /// What would have to be submitted.
    pub(super) missing: Vec<Missing>,
    /// Why this rule applies, where its text alone does not say it.
    pub(super) note: Option<String>,
}

impl Terms {
    /// The terms of a rule of some kind, given what is used of it.
    pub(super) fn of(kind: &RuleKind, used: Decimal, subject: &Subject<'_>) -> Self {
        let facts = subject.facts;
        let expense = Applied {
            subject,
            effect: kind.effect(),
        };
        match kind {
            RuleKind::Cap {
                max,
                per_unit: Some(per_unit),
                ..
            } => {
                let limit = per_unit.limit(*max, facts, subject.amount.scale());
                expense.up_to_known(limit.map_err(|missing| vec![missing]), Window::Expense)
            }
            RuleKind::Cap { counter, max, .. } => {
                let lacking = counter.lacks(facts).map(|fact| vec![Missing::Fact(fact)]);
                expense.up_to_known(lacking.map_or(Ok(*max), Err), counter.per)
            }
            RuleKind::Allowance(allowance) => {
                expense.up_to_known(allowance.limit(facts).map_err(missing_facts), Window::Day)
            }
            RuleKind::Approval { above, .. } | RuleKind::Preapproved { above, .. } => {
                expense.up_to(*above, Window::Expense)
            }
            RuleKind::ApprovalAlways { .. } => expense.forbidden_if(true),
            RuleKind::Receipt { above, form, .. } => {
                expense.due_above(*above, lacking_receipt(*form, subject.receipt))
            }
            RuleKind::Required { facts, above, .. } => {
                expense.due_above(*above, lacking_facts(facts, subject))
            }
            RuleKind::Split { limit, .. } => expense.up_to(*limit, Window::Merchant),
            RuleKind::Duplicate { score, .. } => expense.forbidden_if(used >= *score),
            RuleKind::MaxAge { days, .. } => {
                expense.forbidden_if(n_days(subject.date, subject.today) > i32::from(*days))
            }
            RuleKind::Future { days } => {
                expense.forbidden_if(n_days(subject.today, subject.date) > i32::from(*days))
            }
            RuleKind::BlockedMcc { mcc } => {
                expense.forbidden_if(subject.mcc.is_some_and(|code| is_listed(mcc, code)))
            }
            RuleKind::BlockedMerchant { merchant } => {
                expense.forbidden_if(names_one_of(merchant, subject))
            }
            RuleKind::BlockedWords { words, but, .. } => expense.without_words(words, but),
            RuleKind::AllowedMcc { mcc } => {
                expense.allowed(subject.mcc, Missing::Mcc, |code| is_listed(mcc, code))
            }
            RuleKind::AllowedMerchant { merchant } => {
                expense.allowed(subject.merchant, Missing::Merchant, |name| {
                    let name = Words::of(name);
                    merchant.iter().any(|phrase| phrase.occurs_in(&name))
                })
            }
            RuleKind::Advance { days, .. } => expense.ahead_by(*days),
        }
    }
}

/// An expense to which a rule is applied, and what the rule leads to when it is broken.
struct Applied<'a> {
    subject: &'a Subject<'a>,
    effect: Effect,
}

impl Applied<'_> {
    /// At most `limit`.
    fn up_to(self, limit: Decimal, window: Window) -> Terms {
        Terms {
            limit,
            window,
            effect: self.effect,
            missing: Vec::new(),
            note: None,
        }
    }

    /// At most `limit`, if the expense states what the limit depends on.
    fn up_to_known(self, limit: Result<Decimal, Vec<Missing>>, window: Window) -> Terms {
        match limit {
            Ok(limit) => self.up_to(limit, window),
            Err(missing) => self.lacking(missing),
        }
    }

    /// All of it or nothing. A rule without an amount has findings of the same form as those of other
    /// rules.
    fn forbidden_if(self, is_forbidden: bool) -> Terms {
        let limit = if is_forbidden {
            Decimal::ZERO
        } else {
            self.subject.amount
        };
        self.up_to(limit, Window::Expense)
    }

    /// Nothing, because the rule cannot judge an expense that does not state this. A person has to.
    fn lacking(self, missing: Vec<Missing>) -> Terms {
        let effect = match self.effect {
            Effect::Denied => RuleKind::LACKING,
            asks @ Effect::Asks(_) => asks,
        };
        Terms {
            note: Some(format!("The expense does not state: {}.", joined(&missing))),
            missing,
            ..Self { effect, ..self }.forbidden_if(true)
        }
    }

    /// More than `above` only together with what is missing, if anything is.
    fn due_above(self, above: Decimal, missing: Vec<Missing>) -> Terms {
        Terms {
            missing,
            ..self.up_to(above, Window::Expense)
        }
    }

    /// Nothing, if one of these phrases occurs in the expense.
    fn without_words(self, words: &[Phrase], but: &[Phrase]) -> Terms {
        let subject = self.subject;
        let mut texts = subject.merchant.into_iter().chain([subject.transaction]);
        let phrase = texts.find_map(|text| Readings::of(text).first_of(words, but));
        Terms {
            note: phrase.map(|phrase| format!("It says \"{phrase}\".")),
            ..self.forbidden_if(phrase.is_some())
        }
    }

    /// All of it, if what is known of the expense is in a list.
    fn allowed(
        self,
        known: Option<&str>,
        missing: Missing,
        is_listed: impl Fn(&str) -> bool,
    ) -> Terms {
        match known {
            None => self.lacking(vec![missing]),
            Some(known) => self.forbidden_if(!is_listed(known)),
        }
    }

    /// All of it, if it was bought at least `days` days before the journey.
    fn ahead_by(self, days: u16) -> Terms {
        let subject = self.subject;
        match subject.facts.date(FactName::TravelDate) {
            None => self.lacking(vec![Missing::Fact(FactName::TravelDate)]),
            Some(travel_date) => {
                self.forbidden_if(n_days(subject.date, travel_date) < i32::from(days))
            }
        }
    }
}

fn is_listed(codes: &[Codes], code: &str) -> bool {
    codes.iter().any(|codes| codes.contains(code))
}

/// Whether the expense names one of these merchants: in the transaction, if it names none.
fn names_one_of(merchants: &[Phrase], subject: &Subject<'_>) -> bool {
    let name = Readings::of(subject.merchant.unwrap_or(subject.transaction));
    merchants.iter().any(|phrase| phrase.is_hidden_in(&name))
}

/// The facts that the expense does not state.
fn lacking_facts(facts: &[FactName], subject: &Subject<'_>) -> Vec<Missing> {
    let facts = facts.iter().copied();
    missing_facts(facts.filter(|fact| !subject.facts.has(*fact)))
}

fn missing_facts(facts: impl IntoIterator<Item = FactName>) -> Vec<Missing> {
    facts.into_iter().map(Missing::Fact).collect()
}

fn joined(missing: &[Missing]) -> String {
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    missing.join(", ")
}

/// What is missing from a receipt.
fn lacking_receipt(form: ReceiptForm, receipt: Receipt) -> Vec<Missing> {
    match (form, receipt) {
        (_, Receipt::Itemized) | (ReceiptForm::Any, Receipt::Attached) => Vec::new(),
        (ReceiptForm::Any, Receipt::Absent) => vec![Missing::Receipt],
        (ReceiptForm::Itemized, _) => vec![Missing::ItemizedReceipt],
    }
}

/// Days from one date to another; negative when the second date is earlier.
fn n_days(from: Date, to: Date) -> i32 {
    (to - from).get_days()
}
