//! Which sources guard which gateway, and which gateway guards which pod. Pure.
