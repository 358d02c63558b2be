//! Names that EC2 gives: of instance types, zones, devices. Each is kept once and for as long as the process runs, so that
//! what is found while it runs can stand beside what is embedded, and nothing is copied when it is looked up.
//!
//! Nothing is ever let go: EC2 adds some hundred names in a year, of a dozen bytes each. So only what EC2 itself has said
//! belongs here, never what a user writes.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// The one copy of this name.
#[must_use]
pub fn kept(name: &str) -> &'static str {
    // Whoever held the lock did no more than look and insert; were it interrupted, the set would still be whole.
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let new: &'static str = Box::leak(name.into());
    names.insert(new);
    new
}

#[cfg(test)]
mod tests {
    use super::kept;

    #[test]
    fn a_name_is_kept_once() {
        let (first, again) = (kept("m99.large"), kept(&format!("m99.{}", "large")));
        assert_eq!(first, "m99.large");
        assert!(std::ptr::eq(first, again));
        assert_ne!(first, kept("m99.xlarge"));
    }
}
