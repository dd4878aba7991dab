//! `tipring-apid`.

fn main() {}
