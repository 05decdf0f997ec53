//! A time span in milliseconds with at most three decimals, as records hold it. It is kept in whole
//! microseconds, so that no binary float takes part, and a record reads back as it was written.

use std::fmt;
use std::time::Duration;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, json};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A span of time, to the microsecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Milliseconds {
    micros: u64,
}

impl Milliseconds {
    /// The longest span, of about 31 years. It has 15 digits, as many as every reader of JSON keeps:
    /// many read a number as a binary float.
    pub const MAX: Self = Self {
        micros: 999_999_999_999_999,
    };

    /// The span in whole microseconds.
    pub fn micros(self) -> u64 {
        self.micros
    }
}

/// Rounded down to whole microseconds; a longer span than [`Milliseconds::MAX`] counts as that.
impl From<Duration> for Milliseconds {
    fn from(span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self {
            micros: micros.min(Self::MAX.micros),
        }
    }
}

/// Without zeros at its end.
impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, micros) = (self.micros / 1_000, self.micros % 1_000);
        match micros {
            0 => write!(f, "{whole}"),
            _ if micros % 100 == 0 => write!(f, "{whole}.{}", micros / 100),
            _ if micros % 10 == 0 => write!(f, "{whole}.{:02}", micros / 10),
            _ => write!(f, "{whole}.{micros:03}"),
        }
    }
}

/// As a JSON number. The hash chain seals canonical JSON (RFC 8785), in which a whole number has no
/// decimals: `12`, not `12.0`.
impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number: Number = self
            .to_string()
            .parse()
            .expect("a plain decimal is a JSON number");
        number.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Milliseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?.to_string();
        let millis = Decimal::from_str_exact(&number).ok();
        millis
            .and_then(|millis| millis.checked_mul(Decimal::ONE_THOUSAND))
            .filter(Decimal::is_integer)
            .and_then(|micros| micros.to_u64())
            .map(|micros| Self { micros })
            .filter(|span| *span <= Self::MAX)
            .ok_or_else(|| {
                D::Error::custom(format_args!(
                    "`{number}` is no number of milliseconds; write at least 0, with at most three decimals"
                ))
            })
    }
}

impl PartialSchema for Milliseconds {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Number)
            .minimum(Some(0))
            .examples([json!(12.345)])
            .into()
    }
}

impl ToSchema for Milliseconds {}
