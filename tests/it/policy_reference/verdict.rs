//! What is compared: all that a policy says of an expense.

use rust_decimal::Decimal;

/// What a policy says of an expense, by the engine or by the reference.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// The verdict; `needs_review` if no policy can judge the expense.
    pub(super) ruling: &'static str,
    /// The rules that hold.
    pub(super) rules: Vec<String>,
    /// The rules that are broken, the strictest first.
    pub(super) findings: Vec<Finding>,
    /// Who has to approve, one after the other.
    pub(super) approvers: Vec<String>,
    /// What has to be submitted.
    pub(super) missing: Vec<String>,
    /// The caps, and what is used of them.
    pub(super) caps: Vec<Cap>,
    /// Who may set which rule aside.
    pub(super) exceptions: Vec<(String, String)>,
    /// The amounts at which the verdict may change. They are not compared.
    pub(super) edges: Vec<Decimal>,
}

/// What a broken rule says.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) rule: String,
    /// The kind of the rule, which is not compared.
    pub(super) kind: String,
    pub(super) effect: &'static str,
    pub(super) window: &'static str,
    pub(super) limit: Decimal,
    pub(super) used: Decimal,
    pub(super) allowable: Decimal,
    pub(super) exceeded: Decimal,
    pub(super) message: String,
}

/// What a cap found.
#[derive(Clone, Debug)]
pub(super) struct Cap {
    pub(super) rule: String,
    pub(super) window: &'static str,
    pub(super) key: Option<String>,
    pub(super) limit: Decimal,
    pub(super) used: Decimal,
}

impl Told {
    /// No policy can judge the expense.
    pub(super) fn review() -> Self {
        Self {
            ruling: "needs_review",
            ..Self::default()
        }
    }

    /// All of it, line by line, with every amount in the decimals that it is shown with.
    pub(super) fn lines(&self) -> String {
        let mut lines = format!(
            "{}\nrules {:?}\napprovers {:?}\nmissing {:?}\nexceptions {:?}\n",
            self.ruling, self.rules, self.approvers, self.missing, self.exceptions
        );
        for finding in &self.findings {
            let Finding {
                kind: _,
                rule,
                effect,
                window,
                limit,
                used,
                allowable,
                exceeded,
                message,
            } = finding;
            lines += &format!(
                "{rule}: {effect}, {window}, limit {limit}, used {used}, allowable {allowable}, exceeded {exceeded}, \
                 {message}\n"
            );
        }
        for Cap {
            rule,
            window,
            key,
            limit,
            used,
        } in &self.caps
        {
            lines += &format!("cap {rule}: {window} {key:?}, limit {limit}, used {used}\n");
        }
        lines
    }
}
