//! The order within a batch: the expenses of one employee are decided one after the other, in the
//! order of their lines, because caps depend on it. Those of different employees are decided at the
//! same time.

use std::collections::HashMap;

use serde::Deserialize;
use tokio::sync::oneshot;

use crate::spelling;

/// The turns of the employees whose expenses a batch contains.
///
/// Each line takes a turn when it is read, in the order of the lines. A turn begins when the
/// employee's previous turn was dropped, which happens when that turn's line is answered. Lines are
/// also started in order, so the line of the previous turn is in progress or answered, and no turn
/// waits forever.
pub(super) struct Turns {
    /// The employee of a line that names none.
    default_user_id: String,
    /// The end of the last turn of each employee, by the spelling of the id.
    last: HashMap<String, oneshot::Receiver<()>>,
}

/// The right of one line to be decided after the lines before it.
pub(super) struct Turn {
    before: Option<oneshot::Receiver<()>>,
    /// Dropped with the turn, which ends the wait of the next one.
    end: oneshot::Sender<()>,
}

impl Turns {
    pub(super) fn new(default_user_id: String) -> Self {
        Self {
            default_user_id,
            last: HashMap::new(),
        }
    }

    /// The turn of the line with this expense; `None` if the line is not an expense, and so has
    /// nothing to wait for.
    pub(super) fn of(&mut self, expense: &[u8]) -> Option<Turn> {
        #[derive(Deserialize)]
        struct Employee {
            user_id: Option<String>,
        }
        let employee: Employee = serde_json::from_slice(expense).ok()?;
        let user_id = employee.user_id.as_ref().unwrap_or(&self.default_user_id);
        let user_id = spelling::person(user_id).into_owned();
        let (end, ended) = oneshot::channel();
        Some(Turn {
            before: self.last.insert(user_id, ended),
            end,
        })
    }
}

impl Turn {
    /// Waits until the previous turn has ended. Nothing is sent at its end: the dropped sender is
    /// the signal, so that a line that fails cannot block the next one.
    pub(super) async fn begun(self) -> oneshot::Sender<()> {
        if let Some(before) = self.before {
            let _dropped = before.await;
        }
        self.end
    }
}
