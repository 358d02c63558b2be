//! Facts about the world.
