//! Benches only: `cargo bench --manifest-path benches/Cargo.toml`.
