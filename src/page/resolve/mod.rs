//! Resolving an open decision on the page: what a person may do is told before the click (`form`), and
//! the click is a request to the API (`act`). Both views that resolve use it: the decision and the
//! review queue.

pub(super) mod act;
pub(super) mod form;
