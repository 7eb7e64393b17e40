//! TensorBoard's event file says what the tables and pictures of the run say, once each.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{Done, Place};

const EVENTS: &str = "tensorboard/events.out.tfevents.ganforge";

/// What an event says under a tag.
#[derive(Debug, PartialEq)]
enum Said {
    Number(f32),
    Picture(Vec<u8>),
}

/// Step, tag and what was said.
type Event = (u64, String, Said);

/// CRC-32C, bit by bit: the polynomial 1EDC6F41, reflected.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82F6_3B78 * (crc & 1));
        }
    }
    !crc
}

/// Takes `n` bytes from the front.
fn take<'a>(bytes: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(n);
    *bytes = rest;
    taken
}

/// Takes bytes and the checksum behind them, which must be theirs.
fn checked<'a>(bytes: &mut &'a [u8], n: usize) -> &'a [u8] {
    let data = take(bytes, n);
    let crc = u32::from_le_bytes(take(bytes, 4).try_into().expect("4 bytes"));
    let unmasked = crc.wrapping_sub(0xA282_EAD8).rotate_left(15);
    assert_eq!(unmasked, crc32c(data), "the checksum of {n} bytes");
    data
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut x = 0;
    for shift in (0..).step_by(7) {
        let byte = take(bytes, 1)[0];
        x |= u64::from(byte % 128) << shift;
        if byte < 128 {
            break;
        }
    }
    x
}

/// The fields of a message: number, and the value's bytes (of a varint: as u64).
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let value = match key % 8 {
            0 => varint(&mut message).to_le_bytes().to_vec(),
            1 => take(&mut message, 8).to_vec(),
            2 => {
                let n = varint(&mut message) as usize;
                take(&mut message, n).to_vec()
            }
            5 => take(&mut message, 4).to_vec(),
            other => panic!("wire type {other}"),
        };
        found.push((key / 8, value));
    }
    found
}

fn field(message: &[u8], number: u64) -> Option<Vec<u8>> {
    let found = fields(message).into_iter().find(|f| f.0 == number);
    found.map(|f| f.1)
}

/// All that an event file says; every byte of it must be sound.
fn read(path: &Path) -> Vec<Event> {
    let file = fs::read(path).expect("an event file");
    let mut rest = file.as_slice();
    let (mut said, mut is_first) = (Vec::new(), true);
    let mut last = 0.0;
    while !rest.is_empty() {
        let length = checked(&mut rest, 8).try_into().expect("8 bytes");
        let event = checked(&mut rest, u64::from_le_bytes(length) as usize);
        let time = field(event, 1)
            .expect("a time")
            .try_into()
            .expect("8 bytes");
        let time = f64::from_le_bytes(time);
        assert!(time > 1.6e9 && time >= last, "seconds since 1970: {time}");
        last = time;
        if is_first {
            assert_eq!(field(event, 3).expect("a version"), b"brain.Event:2");
            is_first = false;
            continue;
        }
        let step = field(event, 2)
            .expect("a step")
            .try_into()
            .expect("8 bytes");
        for (number, value) in fields(&field(event, 5).expect("a summary")) {
            assert_eq!(number, 1);
            let tag = String::from_utf8(field(&value, 1).expect("a tag")).expect("text");
            let what = match (field(&value, 2), field(&value, 4)) {
                (Some(x), None) => Said::Number(f32::from_le_bytes(x.try_into().expect("4 bytes"))),
                (None, Some(image)) => Said::Picture(picture(&image)),
                other => panic!("{tag}: {other:?}"),
            };
            said.push((u64::from_le_bytes(step), tag, what));
        }
    }
    said
}

/// The PNG of an image summary, of which the sizes must be those that it states.
fn picture(image: &[u8]) -> Vec<u8> {
    let number = |n| {
        u64::from_le_bytes(
            field(image, n)
                .expect("a size")
                .try_into()
                .expect("8 bytes"),
        )
    };
    let png = field(image, 4).expect("a PNG");
    let side = |at: usize| u64::from(u32::from_be_bytes(png[at..at + 4].try_into().expect("4")));
    assert_eq!(
        (side(16), side(20)),
        (number(2), number(1)),
        "width, height"
    );
    assert_eq!(number(3), 1, "grey");
    png
}

/// What the files of a run say, in the order of events.
fn expected(place: &Place, run: &str, steps_per_epoch: u64) -> Vec<Event> {
    let mut all = Vec::new();
    for (table, rank) in [("metrics", 0), ("scores", 2)] {
        let text = place.text(&format!("{run}/{table}.csv"));
        let (header, rows) = text.split_once('\n').expect("a header");
        for row in rows.lines() {
            let step: u64 = row
                .split(',')
                .next()
                .expect("a step")
                .parse()
                .expect("a number");
            for (column, value) in header.split(',').zip(row.split(',')).skip(2) {
                let tag = match column.starts_with("grad/") {
                    true => column.to_string(),
                    false => format!("{table}/{column}"),
                };
                let value = Said::Number(value.parse().expect("a number"));
                all.push((rank, (step, tag, value)));
            }
        }
    }
    for entry in fs::read_dir(place.path(run).join("samples")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let epoch: u64 = name["epoch-".len()..].parse().expect("a number");
        let png = Said::Picture(fs::read(&path).expect("a picture"));
        all.push((1, (epoch * steps_per_epoch, "samples".into(), png)));
    }
    all.sort_by_key(|(rank, event)| (event.0, *rank));
    all.into_iter().map(|e| e.1).collect()
}

fn assert_complete(place: &Place, run: &str) {
    let said = read(&place.path(run).join(EVENTS));
    let expected = expected(place, run, 40);
    let short =
        |all: &[Event]| -> Vec<String> { all.iter().map(|e| format!("{} {}", e.0, e.1)).collect() };
    assert_eq!(short(&said), short(&expected));
    assert!(said == expected, "other values or pictures");
}

const RUN: [&str; 6] = [
    "--epochs",
    "3",
    "--set",
    "eval.every=1",
    "--set",
    "output.checkpoint_every=3",
];

#[test]
fn events_repeat_tables_and_pictures() {
    let place = Place::new();
    place.train("run", &RUN);
    assert_complete(&place, "run");
    let numbers = read(&place.path("run").join(EVENTS));
    for tag in [
        "metrics/loss_d",
        "metrics/momentum",
        "grad/G.out.w",
        "scores/log_likelihood",
        "samples",
    ] {
        assert!(numbers.iter().any(|e| e.1 == tag), "{tag}");
    }
}

#[test]
fn a_resumed_run_repeats_and_loses_no_event() {
    let place = Place::new();
    place.train("run", &["--epochs", "1", "--set", "eval.every=1"]);
    let (path, one) = (
        place.path("run").join(EVENTS),
        "run/checkpoints/step-00000040.npz",
    );
    let before = fs::read(&path).expect("an event file");
    let first = place.bytes(one);
    place.ok(&["train", "--resume", "run", "--epochs", "3"]);
    assert_complete(&place, "run");
    let longer = fs::read(&path).expect("an event file");
    assert_eq!(
        longer[..before.len()],
        before,
        "the times of the first epoch are kept"
    );

    // Killed in the middle of the third epoch, its last event cut off, the newest checkpoint that of the first.
    fs::write(&path, &longer[..longer.len() - 5]).expect("written");
    for name in place.checkpoints("run") {
        fs::remove_file(place.path("run/checkpoints").join(name)).expect("removed");
    }
    fs::write(place.path(one), first).expect("written");
    fs::remove_file(place.path("run/run.json")).expect("removed");
    place.ok(&["train", "--resume", "run"]);
    assert_complete(&place, "run");

    // Killed between the event of the last score and its row.
    let scores = place.text("run/scores.csv");
    let rows: Vec<&str> = scores.lines().collect();
    fs::write(
        place.path("run/scores.csv"),
        rows[..rows.len() - 1].join("\n") + "\n",
    )
    .expect("written");
    fs::remove_file(place.path("run/run.json")).expect("removed");
    place.ok(&["train", "--resume", "run"]);
    assert_eq!(place.text("run/scores.csv"), scores);
    assert_complete(&place, "run");
}

/// Prints step, tag and value of all scalars, and of images their number of bytes.
const READER: &str = "
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0, 'images': 0})
events.Reload()
tags = events.Tags()
for tag in tags['scalars']:
    for e in events.Scalars(tag):
        print(e.step, tag, repr(e.value))
for tag in tags['images']:
    for e in events.Images(tag):
        print(e.step, tag, len(e.encoded_image_string))
";

#[test]
fn tensorboard_itself_reads_the_events() {
    let python = |code: &str, argument: &Path| {
        let run = Command::new("python3")
            .args(["-c", code])
            .arg(argument)
            .output();
        run.ok().map(Done::of)
    };
    let place = Place::new();
    if !testkit::has_python("tensorboard") {
        return;
    }
    place.train("run", &RUN);
    let done = python(READER, &place.path("run").join("tensorboard")).expect("python runs");
    assert_eq!(done.code, Some(0), "{}", done.err);
    let mut said: Vec<(u64, String, f64)> = Vec::new();
    for line in done.out.lines() {
        let [step, tag, value] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        said.push((
            step.parse().expect(line),
            tag.into(),
            value.parse().expect(line),
        ));
    }
    let expected = expected(&place, "run", 40).into_iter();
    let mut expected: Vec<(u64, String, f64)> = expected
        .map(|(step, tag, what)| match what {
            Said::Number(x) => (step, tag, f64::from(x)),
            Said::Picture(png) => (step, tag, png.len() as f64),
        })
        .collect();
    for list in [&mut said, &mut expected] {
        list.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    }
    assert_eq!(said, expected);
}
