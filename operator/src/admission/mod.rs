//! Answers to the API server about one object at a time.
