//! AWS, as far as it takes no connection: user data by which an instance joins, what messages of the interruption queue
//! say, and what each code of an error asks for.
//!
//! Calls are not here yet: nothing is launched, and no queue is read.

pub mod cluster;
pub mod error;
pub mod message;
pub mod user_data;
