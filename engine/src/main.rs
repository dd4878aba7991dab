//! `tipring-engine`.

fn main() {}
