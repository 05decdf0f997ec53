//! The file of keys, from TOML text to [`ApiKeys`] and back. It has one `[[key]]` table for each
//! key, with its `id`, its `tenant` and the `sha256` of the key, and optionally its `roles`, the
//! `user` who holds it, the `group` of employees, `revoked = true` and the day it `expires`. A tenant or a user that is written
//! in two ways is refused, because both would be the same one (see `spelling`). Diagnostics never
//! repeat a value of this file: someone may have written the key itself in place of its hash.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use strum::VariantNames;
use toml::de::DeValue;

use crate::domain::ruling::Role;
use crate::domain::tenant::{self, GROUP, TENANT, USER, parse_group};
use crate::keys::{ApiKey, ApiKeys, Digest};
use crate::spelling;
use crate::toml_reader::claims::Claims;
use crate::toml_reader::diagnostic::Diagnostics;
use crate::toml_reader::table::{list, values};
use crate::toml_reader::values::{DATE, date, name, one_of};
use crate::toml_reader::{self, Source};

/// What is accepted as the id of a key, for diagnostics.
pub const ID: &str = "up to 64 lower-case letters, digits, `-` and `_`, such as \"acme-2026\"";
const HASH: &str = "64 hex digits, the SHA-256 of the key, which `keys new` prints";
/// The longest id, in characters: shorter than a key, so that a key is not accepted as an id.
const MAX_KEY_ID_CHARS: usize = 64;

/// Reads the keys of a file from its text.
///
/// # Errors
/// With all diagnostics of the file, not just the first.
pub fn parse(file: &Path, text: &str) -> Result<ApiKeys, Diagnostics> {
    toml_reader::parse(file, text, parse_keys).map(ApiKeys)
}

fn parse_keys(source: &mut Source<'_>) -> Option<Vec<Arc<ApiKey>>> {
    source.hide_values();
    let mut claims = Claims::default();
    let mut written = Written::default();
    source.tables_of("key", |source, table, at| {
        let key_id = table.required(source, "id", ID, |value| id(value.as_str()?));
        let tenant_id = table.required(source, "tenant", TENANT, |value| {
            value
                .as_str()
                .filter(|text| tenant::parse_tenant(text).is_some())
                .map(str::to_owned)
        });
        let digest = table.required(source, "sha256", HASH, |value| {
            Digest::parse(value.as_str()?)
        });
        let roles = list(source, table, "roles", &one_of(Role::VARIANTS), |text| {
            text.parse::<Role>().ok()
        });
        let user_id = table.optional(source, "user", USER, |value| {
            tenant::parse_user(value.as_str()?)
        });
        let group = table.optional(source, "group", GROUP, |value| parse_group(value.as_str()?));
        let is_revoked = table.optional(source, "revoked", "true or false", DeValue::as_bool);
        let expires = table.optional(source, "expires", DATE, date);
        if let Some(id) = &key_id {
            claims.claim_as(source, at, &format!("id {id}"), "this `id`", "");
        }
        if let Some(digest) = digest {
            claims.claim_as(source, at, &format!("sha256 {digest}"), "this `sha256`", "");
        }
        if let Some(tenant_id) = &tenant_id {
            let spelled = spelling::tenant(tenant_id).into_owned();
            written.note(
                source,
                at,
                "tenant",
                (spelled.clone(), String::new()),
                tenant_id,
            );
            if let Some(Some(user_id)) = &user_id {
                let person = spelling::person(user_id).into_owned();
                written.note(source, at, "user", (spelled, person), user_id);
            }
        }
        Some(Arc::new(ApiKey {
            id: key_id?,
            tenant_id: Some(spelling::tenant(&tenant_id?).into_owned()),
            digest: digest?,
            roles: values(roles),
            user_id: user_id?,
            group: group?,
            is_revoked: is_revoked?.unwrap_or(false),
            expires: expires?,
        }))
    })
}

/// How each tenant and each of its users was written first, and in which line. The key is the
/// spelling of the tenant and that of the user, which is empty for the tenant itself.
#[derive(Default)]
struct Written(HashMap<(String, String), (String, usize)>);

impl Written {
    /// Notes how a tenant or a user is written. Reports one that was written in another way before:
    /// the author of the file may have meant two tenants or people.
    fn note(
        &mut self,
        source: &mut Source<'_>,
        at: usize,
        key: &str,
        spelled: (String, String),
        written: &str,
    ) {
        let line = source.line(at);
        let (first, first_line) = self
            .0
            .entry(spelled)
            .or_insert_with(|| (written.to_owned(), line));
        if first != written {
            let message = format!(
                "this `{key}` is the same as the one of the key in line {first_line}, which is written \
                 differently; write both in the same way, or give one of them another name"
            );
            source.report(at, message);
        }
    }
}

/// Reads the id of a key.
pub fn id(text: &str) -> Option<String> {
    name(text).filter(|id| id.len() <= MAX_KEY_ID_CHARS)
}

/// The entry of a new key, as it is written to a file.
#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    tenant: &'a str,
    sha256: String,
    #[serde(skip_serializing_if = "<[Role]>::is_empty")]
    roles: &'a [Role],
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
}

#[derive(Serialize)]
struct File<'a> {
    key: [Entry<'a>; 1],
}

/// The TOML text of a new key's entry, to be appended to a file.
pub fn entry(
    id: &str,
    tenant: &str,
    digest: Digest,
    roles: &[Role],
    user: Option<&str>,
    group: Option<&str>,
) -> String {
    let key = [Entry {
        id,
        tenant,
        sha256: digest.to_string(),
        roles,
        user,
        group,
    }];
    toml::to_string(&File { key }).expect("texts and lists of texts are TOML")
}
