//! What a notification says, and its signature. It is read from the records when it is sent, so an
//! attempt after a restart says the same as the first. It holds no text that a person or a model
//! wrote, and names no person.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use rust_decimal::Decimal;
use secrecy::{ExposeSecret, SecretSlice};
use serde::Serialize;
use sha2::Sha256;
use uuid::Uuid;

use crate::domain::money::Currency;
use crate::domain::notification::NotificationType;
use crate::domain::resolution::{Action, Resolution};
use crate::domain::ruling::{Outcome, Role};
use crate::ledger::{Claimed, StoredDecision};

/// What every secret begins with.
const SECRET_PREFIX: &str = "whsec_";

/// A secret with which notifications are signed.
#[derive(Clone)]
pub struct Secret(SecretSlice<u8>);

impl Secret {
    /// Reads `whsec_` and 24 to 64 bytes in Base64; `None` if the text is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(SECRET_PREFIX)?).ok()?;
        (24..=64).contains(&bytes.len()).then(|| Self(bytes.into()))
    }

    /// The signature of a text.
    fn sign(&self, parts: [&[u8]; 3]) -> String {
        let mut hash = Hmac::<Sha256>::new_from_slice(self.0.expose_secret())
            .expect("HMAC takes keys of any length");
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                hash.update(b".");
            }
            hash.update(part);
        }
        format!("v1,{}", STANDARD.encode(hash.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A notification as it is sent, but for the time and the signatures of the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The same in every attempt: by it a receiver knows a notification that arrives twice.
    pub id: String,
    /// The body, JSON.
    pub body: Vec<u8>,
}

/// The body.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    tenant_id: &'a str,
    expense_id: Uuid,
    outcome: Outcome,
    /// The lowest role that can act on the expense next; when it is resolved, the last that could.
    role: Option<Role>,
    amount: Decimal,
    currency: Currency,
    /// The one that a person chose, else that of the decision.
    category: Option<&'a str>,
    page_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<ResolutionData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    superseded_by: Option<Uuid>,
}

#[derive(Serialize)]
struct ResolutionData {
    action: Action,
    /// The role in which the person acted.
    role: Option<Role>,
    /// What is paid.
    amount: Option<Decimal>,
}

impl From<&Resolution> for ResolutionData {
    fn from(resolution: &Resolution) -> Self {
        Self {
            action: resolution.action,
            role: resolution.role,
            amount: resolution.amount,
        }
    }
}

impl Message {
    /// The notification of an event in the life of an expense. `None` when there is nothing to say any
    /// more: that an expense is overdue is no news once it waits no longer.
    pub fn of(entry: &Claimed, stored: &StoredDecision, page_url: Option<String>) -> Option<Self> {
        let decision = &stored.decision;
        let Claimed {
            kind, n_approvals, ..
        } = *entry;
        let is_past = stored.pending().is_none() || stored.approvals.len() > n_approvals;
        if kind == NotificationType::Overdue && is_past {
            return None;
        }
        let is_resolved = kind == NotificationType::Resolved;
        let is_superseded = kind == NotificationType::Superseded;
        let body = Body {
            kind: kind.into(),
            timestamp: entry.happened_at,
            data: Data {
                tenant_id: &decision.tenant_id,
                expense_id: decision.id,
                outcome: decision.outcome,
                role: stored.pending_after(n_approvals),
                amount: decision.expense.amount,
                currency: decision.expense.currency,
                category: match is_resolved {
                    true => stored.category(),
                    false => decision.category.as_deref(),
                },
                page_url,
                resolution: stored
                    .resolution
                    .as_ref()
                    .filter(|_| is_resolved)
                    .map(Into::into),
                superseded_by: stored.superseded_by.filter(|_| is_superseded),
            },
        };
        // An expense begins to wait again after each of several approvals.
        let again = match n_approvals {
            0 => String::new(),
            n => format!("_{n}"),
        };
        Some(Self {
            // A full stop would be ambiguous in the text that is signed.
            id: format!("{}_{}{again}", decision.id, body.kind.replace('.', "_")),
            body: serde_json::to_vec(&body).expect("a notification is texts and decimals"),
        })
    }

    /// The value of the header `webhook-signature` for an attempt at this second since 1970: one
    /// signature with each secret.
    pub fn signatures(&self, seconds: i64, secrets: &[Secret]) -> String {
        let seconds = seconds.to_string();
        let parts = [self.id.as_bytes(), seconds.as_bytes(), &self.body];
        let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(parts)).collect();
        signatures.join(" ")
    }
}
