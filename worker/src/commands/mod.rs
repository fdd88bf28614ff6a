//! What an operator does by hand: a file a command.

pub(crate) mod schedule;
