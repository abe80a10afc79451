//! What happens when something changes, one file a kind.
