//! What recurs: what each schedule does, and that it does it once, whatever dies.

mod certificates;
mod cleaning;
mod email_domains;
mod expiry;
mod reminders;
mod runs;
