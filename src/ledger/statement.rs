//! One way to run a statement on either database: [`query`], its values, and its rows as tuples.
//! Connections are in `db`. Independent of the tables.
//!
//! Hand-written because sqlx's `Any` driver runs SQLite on a thread of its own, and handing a
//! statement over takes longer than the statement.

use std::borrow::Cow;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection as SqliteConnection};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments as _, SqlSafeStr, SqlStr};

use crate::ledger::db::{Connection, DbError, with_time_limit};

/// A value of a statement.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// NULL, in a column of texts.
    Null,
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(Cow<'a, str>),
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// A type that a row of either database can be read as: any tuple of columns.
pub(super) trait Columns:
    for<'r> sqlx::FromRow<'r, PgRow>
    + for<'r> TryFrom<&'r rusqlite::Row<'r>, Error = rusqlite::Error>
    + Send
    + Unpin
{
}

impl<T> Columns for T where
    T: for<'r> sqlx::FromRow<'r, PgRow>
        + for<'r> TryFrom<&'r rusqlite::Row<'r>, Error = rusqlite::Error>
        + Send
        + Unpin
{
}

/// A statement and its values.
#[derive(Debug)]
pub(super) struct Query<'a> {
    sql: SqlStr,
    values: Vec<Value<'a>>,
}

/// A statement, without values so far.
pub(super) fn query<'a>(sql: impl SqlSafeStr) -> Query<'a> {
    Query {
        sql: sql.into_sql_str(),
        // Room for the values of most statements.
        values: Vec::with_capacity(16),
    }
}

impl<'a> Query<'a> {
    /// Adds the value of the next parameter.
    pub(super) fn bind(mut self, value: impl Into<Value<'a>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs the statement, and returns how many rows it changed.
    pub(super) async fn execute(self, db: &mut Connection) -> Result<u64, DbError> {
        match db {
            Connection::Sqlite(connection) => {
                let n_rows = self.prepare(connection.get())?.raw_execute()?;
                Ok(n_rows.try_into().unwrap_or(u64::MAX))
            }
            Connection::Postgres(connection) => {
                let arguments = self.arguments()?;
                let query = sqlx::query_with(self.sql, arguments);
                let done =
                    with_time_limit(connection, async |server| query.execute(server).await).await?;
                Ok(done.rows_affected())
            }
        }
    }

    /// All rows.
    pub(super) async fn fetch_all<T: Columns>(
        self,
        db: &mut Connection,
    ) -> Result<Vec<T>, DbError> {
        match db {
            Connection::Sqlite(connection) => {
                let mut statement = self.prepare(connection.get())?;
                let rows = statement.raw_query().mapped(|row| T::try_from(row));
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Connection::Postgres(connection) => {
                let arguments = self.arguments()?;
                let query = sqlx::query_as_with(self.sql, arguments);
                with_time_limit(connection, async |server| query.fetch_all(server).await).await
            }
        }
    }

    /// The first row, if there is one.
    pub(super) async fn fetch_optional<T: Columns>(
        self,
        db: &mut Connection,
    ) -> Result<Option<T>, DbError> {
        Ok(self.fetch_all(db).await?.into_iter().next())
    }

    /// The first row.
    ///
    /// # Errors
    /// When the statement fails, or returns no row.
    pub(super) async fn fetch_one<T: Columns>(self, db: &mut Connection) -> Result<T, DbError> {
        self.fetch_optional(db)
            .await?
            .ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// The statement for SQLite, with its values. To SQLite, `$2` is a name and not a number: it would
    /// give the first value to the parameter that stands first.
    fn prepare<'db>(&self, db: &'db SqliteConnection) -> Result<CachedStatement<'db>, DbError> {
        let mut statement = db.prepare_cached(self.sql.as_str())?;
        let (n_values, n_parameters) = (self.values.len(), statement.parameter_count());
        let mismatch = || rusqlite::Error::InvalidParameterCount(n_values, n_parameters);
        if n_values != n_parameters {
            return Err(mismatch().into());
        }
        for place in 1..=n_parameters {
            let name = statement.parameter_name(place).unwrap_or_default();
            let number = name
                .strip_prefix('$')
                .and_then(|number| number.parse().ok());
            let value = number.and_then(|number: usize| self.values.get(number.checked_sub(1)?));
            statement.raw_bind_parameter(place, value.ok_or_else(mismatch)?)?;
        }
        Ok(statement)
    }

    fn arguments(&self) -> Result<PgArguments, DbError> {
        let mut arguments = PgArguments::default();
        for value in &self.values {
            let added = match value {
                Value::Null => arguments.add(None::<&str>),
                Value::Integer(number) => arguments.add(number),
                Value::Text(text) => arguments.add(&**text),
            };
            added.map_err(sqlx::Error::Encode)?;
        }
        Ok(arguments)
    }
}
