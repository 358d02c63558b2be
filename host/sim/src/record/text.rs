//! The record as text for a terminal.
