//! Policies as WebAssembly, through everything that the host does with them: the gate, the limits, the swap. What a
//! stock policy decides is tested natively, beside it; here it is shown that as a module it decides the same.

#![expect(clippy::unwrap_used, reason = "a test whose surroundings cannot be made has failed")]

mod author;
mod build;
mod by_hand;
mod equal;
mod frozen;
mod gate;
mod hostile;
mod questions;
mod reload;
