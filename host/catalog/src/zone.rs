//! Availability zones.

use serde::Serialize;

/// An availability zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Zone {
    /// The name that one account gives it: `ap-northeast-2a`.
    pub name: &'static str,
    /// The id that is the same for all accounts: `apne2-az1`. Which name has which id differs between accounts;
    /// in the tables it is the pairing of the account whose offerings they have.
    pub id: &'static str,
}
