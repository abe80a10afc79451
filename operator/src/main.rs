//! The process: reads its flags and hands over to the library.

fn main() {}
