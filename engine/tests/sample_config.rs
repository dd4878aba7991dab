//! The commented sample says what is true: it is valid, and its values are those without a file.

use std::path::Path;
use tipring_engine::config::Config;

#[test]
fn the_sample_is_valid_and_says_the_defaults() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine.yml");
    assert_eq!(Config::load(Some(&sample), |_| None).unwrap(), Config::default());
}
