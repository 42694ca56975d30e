//! meridian

fn main() {}
