//! Facts about the scheduler model.
