//! The receipt of an expense: whether there is one, and how much it says.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};

/// Which receipt is attached to an expense. In JSON `false`, `true` or `"itemized"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub enum Receipt {
    /// None.
    #[default]
    Absent,
    /// One that states at least the sum.
    Attached,
    /// One that lists every item.
    Itemized,
}

/// The word in JSON for a receipt that lists every item.
const ITEMIZED: &str = "itemized";

impl From<Receipt> for serde_json::Value {
    fn from(receipt: Receipt) -> Self {
        match receipt {
            Receipt::Absent => false.into(),
            Receipt::Attached => true.into(),
            Receipt::Itemized => ITEMIZED.into(),
        }
    }
}

impl TryFrom<serde_json::Value> for Receipt {
    type Error = &'static str;

    fn try_from(value: serde_json::Value) -> Result<Self, &'static str> {
        match value {
            serde_json::Value::Bool(false) => Ok(Self::Absent),
            serde_json::Value::Bool(true) => Ok(Self::Attached),
            serde_json::Value::String(word) if word == ITEMIZED => Ok(Self::Itemized),
            _ => Err("a receipt is true, false or \"itemized\""),
        }
    }
}

/// Whether it is attached, and how much it says: `false`, `true` or `itemized`.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "false",
            Self::Attached => "true",
            Self::Itemized => ITEMIZED,
        })
    }
}

/// The schema of a receipt, which is a flag or a word: OpenAPI has no single type for both.
pub fn receipt_schema() -> Schema {
    let flag = ObjectBuilder::new().schema_type(Type::Boolean);
    let word = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([ITEMIZED]));
    let description =
        "Whether a receipt is attached, and `itemized` if it lists every item. Default: `false`.";
    OneOfBuilder::new()
        .item(flag)
        .item(word)
        .description(Some(description))
        .into()
}
