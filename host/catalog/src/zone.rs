//! Availability zones.

use serde::Serialize;

/// An availability zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Zone {
    /// The name that one account gives it: `ap-northeast-2a`.
    pub name: &'static str,
    /// The id that is the same for all accounts: `apne2-az1`. Which name has which id differs between accounts;
    /// this is the pairing of the account whose offerings are in the tables.
    pub id: &'static str,
}
