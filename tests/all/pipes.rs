//! Data and arrays that come through a pipe, which has no length and is read only once.
#![cfg(unix)]

use std::fs;
use std::io::Write;
use std::process::Stdio;

use ganforge::gan::data::bundled_sample;
use ganforge::gan::files::{ArrayRef, write_npy, write_npz};

use crate::common::{Done, Place, small};

/// 70 digits, in a.npy, a.npz and a-idx3-ubyte.
fn digits(place: &Place) {
    let sample = bundled_sample().expect("within");
    let bytes = &sample.train.bytes().expect("bytes")[..70 * 784];
    let array = ArrayRef::u8(&[70, 28, 28], bytes);
    write_npy(&place.path("a.npy"), array).expect("written");
    write_npz(&place.path("a.npz"), [("x".to_string(), array)]).expect("written");
    let header = [0x803_u32, 70, 28, 28].map(u32::to_be_bytes).concat();
    fs::write(place.path("a-idx3-ubyte"), [&header, bytes].concat()).expect("written");
}

/// Runs the program with a file of the place coming through a pipe.
fn piped(place: &Place, arguments: &[&str], file: &str) -> String {
    let bytes = place.bytes(file);
    let mut command = place.command(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || pipe.write_all(&bytes));
    let done = Done::of(child.wait_with_output().expect("it ends"));
    assert_eq!(done.code, Some(0), "{file}: {}", done.err);
    writer.join().expect("no panic").expect("read to its end");
    done.out
}

#[test]
fn data_come_through_a_pipe_as_from_a_file() {
    let place = Place::new();
    digits(&place);
    for file in ["a.npy", "a.npz", "a-idx3-ubyte"] {
        let line = |said: String| {
            let line = said
                .lines()
                .find(|l| l.starts_with("data:"))
                .expect("a line")
                .to_string();
            line.split_once(", file").expect("its origin").1.to_string()
        };
        let set = format!("data.set={}", place.at(file));
        let more = ["--epochs", "1", "--set", "train.batch=10", "--set"];
        let out = format!("of-{file}");
        let from_file = line(place.ok(&small(&out, &[&more[..], &[&set]].concat())));
        let out = format!("piped-{file}");
        let more = [&more[..], &["data.set=/dev/stdin"]].concat();
        let from_pipe = line(piped(&place, &small(&out, &more), file));
        assert_eq!(from_pipe, from_file, "{file}");
        assert!(from_pipe.contains("50 images to train"), "{from_pipe}");
    }
}

#[test]
fn samples_to_score_come_through_a_pipe() {
    let place = Place::new();
    digits(&place);
    let eval = |samples| {
        [
            "eval",
            "--samples",
            samples,
            "--valid",
            "a.npy",
            "--test",
            "a.npy",
        ]
    };
    let expected = place.ok(&eval("a.npy"));
    for file in ["a.npy", "a.npz"] {
        assert_eq!(piped(&place, &eval("/dev/stdin"), file), expected, "{file}");
    }
}
