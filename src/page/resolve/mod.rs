//! Resolving an open decision on the page: `form` says what a person may do, and `act` sends it
//! to the API. Both views that resolve use it: the decision and the
//! review queue.

pub(super) mod act;
pub(super) mod form;
