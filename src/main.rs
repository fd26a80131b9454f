//! The `statescope` command.
fn main() {}
