//! Strings as dense ids, so that comparing two is comparing two integers.

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

/// An interned string: a label's key or value.
///
/// The order of symbols is the order in which strings were first seen and means nothing: whatever ends up in a
/// plan is ordered by the strings themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sym(u32);

/// The strings seen so far, each with the integer that it spells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interner {
    strings: IndexMap<Box<str>, Option<i64>, FxBuildHasher>,
}

impl Interner {
    pub(crate) fn intern(&mut self, string: &str) -> Sym {
        let index = match self.strings.get_index_of(string) {
            Some(index) => index,
            None => self.strings.insert_full(string.into(), string.parse().ok()).0,
        };
        Sym(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The symbol of a string that may never have been seen.
    pub(crate) fn find(&self, string: &str) -> Option<Sym> {
        let index = self.strings.get_index_of(string)?;
        u32::try_from(index).ok().map(Sym)
    }

    pub(crate) fn text(&self, sym: Sym) -> &str {
        self.strings.get_index(sym.0 as usize).map_or("", |(string, _)| string)
    }

    pub(crate) fn number(&self, sym: Sym) -> Option<i64> {
        self.strings.get_index(sym.0 as usize).and_then(|(_, number)| *number)
    }
}
