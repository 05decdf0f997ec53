//! The kinds of record in the ledger, one row of [`RECORDS`] each. Sealing, verifying, erasing,
//! exporting and vacuuming are derived from this table, so a new kind of record needs a migration
//! that creates its table, a row here, and a write that inserts it (such as `RecordResolution` in
//! `resolutions`). The code that reads this table is in `seal`, `verify`, `erase` and `export`.
//!
//! What holds of every table and its documents (checked by a test):
//! - The table has the columns `tenant_id` and `document` (the record as JSON).
//! - The document names its tenant in `tenant_id`, and the decision it belongs to in `expense_id`;
//!   a decision names itself in `id`. `verify` compares both with the columns.
//! - A decision has at most one record of a kind, so the owner column is unique, unless the kind is
//!   `repeatable`.

/// One kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordKind {
    /// The table, and the member of an exported line that holds the record.
    pub table: &'static str,
    /// The column with the record's id, a UUIDv7 that no record of another kind has.
    pub id_column: &'static str,
    /// The column with the id of the decision that the record belongs to. The employee of that
    /// decision owns the record: erasing the employee's texts erases those of the record.
    pub owner_column: &'static str,
    /// The column with the person who wrote the texts, in the spelling of [`spelling::person`], if
    /// the person's texts can be found by it: erasing the person's texts erases those of the record.
    ///
    /// [`spelling::person`]: crate::spelling::person
    pub author_column: Option<&'static str>,
    /// Whether a decision may have several records of this kind.
    pub repeatable: bool,
    /// The paths of the texts in the document that people wrote freely, or that a model wrote after
    /// reading such a text. `*` matches every item of a list. They enter the hash chain by a
    /// salted hash, so that they can be erased. Taking a path out, or adding one that old records
    /// have, breaks the chains of existing ledgers.
    pub personal: &'static [&'static [&'static str]],
    /// Whether the document has the facts of an expense as members. Those that
    /// [are personal](crate::domain::facts::Declaration::personal) count as personal texts too.
    pub holds_facts: bool,
    /// Whether there may be records from before the hash chain was introduced, which no chain
    /// holds.
    pub predates_chain: bool,
}

/// What the agent decided about an expense.
pub(super) const DECISION: RecordKind = RecordKind {
    table: "decision",
    id_column: "id",
    owner_column: "id",
    author_column: None,
    repeatable: false,
    personal: &[
        &["transaction"],
        &["merchant"],
        &["category_hint"],
        &["reason"],
        &["validations", "*", "input"],
        &["validations", "*", "message"],
        &["steps", "*", "error"],
    ],
    holds_facts: true,
    predates_chain: true,
};

/// How a person resolved what a decision left open.
pub(super) const RESOLUTION: RecordKind = RecordKind {
    table: "resolution",
    id_column: "id",
    owner_column: "decision_id",
    author_column: None,
    repeatable: false,
    personal: &[&["reason"]],
    holds_facts: false,
    predates_chain: false,
};

/// An approval that others have to follow: of several people who approve an expense in a row, all but
/// the last.
pub(super) const APPROVAL: RecordKind = RecordKind {
    table: "approval",
    id_column: "id",
    owner_column: "decision_id",
    author_column: None,
    repeatable: true,
    personal: &[&["reason"]],
    holds_facts: false,
    predates_chain: false,
};

/// What a person said of a decision.
pub(super) const FEEDBACK: RecordKind = RecordKind {
    table: "feedback",
    id_column: "id",
    owner_column: "decision_id",
    author_column: Some("author"),
    repeatable: true,
    personal: &[&["comment"]],
    holds_facts: false,
    predates_chain: false,
};

/// All kinds of record; the decision comes first.
pub const RECORDS: [RecordKind; 4] = [DECISION, APPROVAL, RESOLUTION, FEEDBACK];

/// The kinds that belong to a decision without being one.
pub(super) fn attached() -> impl Iterator<Item = RecordKind> {
    RECORDS.into_iter().filter(|kind| *kind != DECISION)
}

/// The kind of record that a table holds.
pub(super) fn kind_of(table: &str) -> Option<RecordKind> {
    RECORDS.into_iter().find(|kind| kind.table == table)
}

/// The statement by which Postgres removes erased rows from its files: of all records, and of the
/// other tables that an erasure changes.
pub fn vacuum_statement() -> String {
    let tables = RECORDS.map(|kind| kind.table).join(", ");
    format!("VACUUM {tables}, chain, merchant_usage, idempotency")
}
