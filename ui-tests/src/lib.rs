//! Support for the tests in `tests`; nothing here is for users.

pub mod differential;
