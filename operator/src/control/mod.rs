//! The endpoint for sidecars: who enforces what, and what they should enforce.
