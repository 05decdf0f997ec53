//! The page in a real browser: what a person sees, presses and types. What the views contain is
//! tested without a browser too; here it is whether they work.

mod faults;
