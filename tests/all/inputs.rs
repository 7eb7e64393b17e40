//! What users give that is not what it seems: arrays of other scales, damaged files, one file under two names.

use ganforge::gan::files::{ArrayRef, write_npy};

use crate::common::Place;

#[test]
fn arrays_of_bytes_beside_those_of_pixels_are_said() {
    let place = Place::new();
    let save = |name: &str, scale: f32| {
        let values: Vec<f32> = (0..40).map(|i| (i % 9) as f32 / 8.0 * scale).collect();
        write_npy(&place.path(name), ArrayRef::f32(&[10, 4], &values)).expect("written");
    };
    save("a.npy", 1.0);
    save("b.npy", 255.0);
    save("points.npy", 3.0);
    let warning = |valid: &str, test: &str| {
        let arrays = ["--samples", "a.npy", "--valid", valid, "--test", test];
        let done = place.run(&[&["eval"], &arrays[..]].concat());
        assert_eq!(done.code, Some(0), "{}", done.err);
        done.err
    };
    let said = warning("a.npy", "b.npy");
    assert!(
        said.contains("warning: b.npy has values from 0 to 255, a.npy from 0 to 1: are those pixels of 0..255?"),
        "{said}"
    );
    assert!(warning("b.npy", "a.npy").contains("b.npy has values"));
    assert_eq!(warning("a.npy", "points.npy"), "");
}
