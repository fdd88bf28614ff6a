//! What recurs: what each schedule does, and that it does it once, whatever dies.

mod certificates;
mod cleaning;
mod expiry;
mod reminders;
mod runs;
