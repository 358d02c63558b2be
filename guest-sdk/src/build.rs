//! Questions for native tests: each starts as something ordinary, and adjectives make of it what the test is about.
//!
//! ```
//! use whittle_guest_sdk::prelude::*;
//!
//! let web = group().owned_by("Deployment", "web").pods(3).labelled("tier", "front");
//! assert_eq!((web.pending, web.label("tier")), (3, Some("front")));
//! ```

mod nodes;
mod pods;
mod supplies;

pub use nodes::{moving, node, notice, residents};
pub use pods::group;
pub use supplies::{instance_type, offering, supply};
