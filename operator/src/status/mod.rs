//! What is told in the status of our kinds. Pure.
