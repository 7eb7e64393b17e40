//! Damaged files, full disks, folders that cannot be written, losses that are no numbers: each
//! ends with one message, and nothing that was good is lost.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::common::{Choices, Done, Place, small};
use ganforge::gan::files::{ArrayRef, write_npy, write_npz};

/// Damages that one bit or one cut make, at places that the seed chooses.
fn damages(bytes: &[u8], seed: u64) -> Vec<(String, Vec<u8>)> {
    let mut choices = Choices(seed);
    let mut made = Vec::new();
    for keep in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        made.push((format!("cut to {keep} bytes"), bytes[..keep].to_vec()));
    }
    for _ in 0..8 {
        let at = choices.below(bytes.len() as u64) as usize;
        let bit = choices.below(8);
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << bit;
        made.push((
            format!("bit {bit} of byte {at} flipped, seed {seed}"),
            flipped,
        ));
    }
    made
}

#[test]
fn a_damaged_checkpoint_is_refused_and_the_older_one_named() {
    let place = Place::new();
    place.train("run", &["--epochs", "2"]);
    let last = place.last_checkpoint("run");
    let good = place.bytes(&last);
    place.ok(&["sample", "run", "-n", "3", "--out", "good.npy"]);
    for (what, bytes) in damages(&good, 11) {
        fs::write(place.path(&last), &bytes).expect("written");
        let done = place.run(&["sample", "run", "-n", "3", "--out", "bad.npy"]);
        if done.code == Some(0) {
            // A date of the archive, say: then the content must have come through whole.
            assert!(what.contains("flipped"), "{what}");
            assert!(place.bytes("good.npy") == place.bytes("bad.npy"), "{what}");
            continue;
        }
        done.assert_refused(&what);
        assert!(
            done.err.contains("step-00000080.npz"),
            "{what}: {}",
            done.err
        );
        assert!(
            done.err
                .contains("to use run/checkpoints/step-00000040.npz"),
            "{}",
            done.err
        );
        let message = place.refused(&["train", "--resume", "run", "--epochs", "3"]);
        assert!(message.contains("step-00000080.npz"), "{what}: {message}");
        assert!(place.bytes(&last) == bytes, "{what}: left as it was");
        assert!(
            place.text("run/config.toml").contains("epochs = 2"),
            "{what}"
        );
    }
    // As the message says: without it the run goes on from the older one, to the same bytes.
    fs::remove_file(place.path(&last)).expect("removed");
    fs::remove_file(place.path("run/run.json")).expect("removed");
    place.ok(&["train", "--resume", "run"]);
    assert!(place.bytes(&last) == good);
}

#[test]
fn a_checkpoint_of_another_model_is_refused() {
    let place = Place::new();
    place.train("run", &["--epochs", "1"]);
    place.train(
        "wide",
        &["--epochs", "1", "--set", "generator.layer.h0.units=33"],
    );
    place.train("slow", &["--epochs", "1", "--set", "optimizer.lr=0.01"]);
    let last = place.last_checkpoint("run");
    for (other, reason) in [
        ("wide", "another configuration"),
        ("slow", "another configuration"),
    ] {
        fs::copy(place.path(&place.last_checkpoint(other)), place.path(&last)).expect("copied");
        for arguments in [
            &["eval", "run"][..],
            &["train", "--resume", "run", "--epochs", "2"],
        ] {
            let message = place.refused(arguments);
            assert!(message.contains(reason), "{message}");
            assert!(message.contains(&last), "{message}");
        }
    }
}

#[test]
fn damaged_configurations_and_run_files_cause_no_panic() {
    let place = Place::new();
    place.train("run", &["--epochs", "1"]);
    for file in ["run/config.toml", "run/run.json"] {
        let good = place.bytes(file);
        for (what, bytes) in damages(&good, 12) {
            fs::write(place.path(file), &bytes).expect("written");
            let done = place.run(&["sample", "run", "-n", "1", "--out", "s.npy"]);
            let is_cut_in_half = what.starts_with("cut") && bytes.len() < good.len() - 1;
            if is_cut_in_half || done.code != Some(0) {
                done.assert_refused(&format!("{file}, {what}"));
                assert!(done.err.contains("run"), "{file}, {what}: {}", done.err);
            }
        }
        fs::write(place.path(file), good).expect("written");
    }
}

/// 60 images of 28x28 as bytes.
fn images() -> Vec<u8> {
    (0..60 * 784).map(|i| (i * 31 % 251) as u8).collect()
}

#[test]
fn damaged_data_are_refused_before_a_run_begins() {
    let place = Place::new();
    let bytes = images();
    let array = || ArrayRef::u8(&[60, 28, 28], &bytes);
    write_npy(&place.path("d.npy"), array()).expect("written");
    let parts = ["train", "valid", "test"].map(|part| (part.to_string(), array()));
    write_npz(&place.path("d.npz"), parts).expect("written");
    let mut idx = vec![0, 0, 8, 3, 0, 0, 0, 60, 0, 0, 0, 28, 0, 0, 0, 28];
    idx.extend(&bytes);
    fs::write(place.path("d-idx3-ubyte"), &idx).expect("written");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&idx).expect("packed");
    fs::write(place.path("d.gz"), gz.finish().expect("packed")).expect("written");
    for file in ["d.npy", "d.npz", "d-idx3-ubyte", "d.gz"] {
        let set = format!("data.set={:?}", place.at(file));
        let train = |out: &str| {
            let more = [
                "--epochs",
                "1",
                "--set",
                set.as_str(),
                "--set",
                "train.batch=10",
            ];
            place.run(&small(out, &more))
        };
        assert_eq!(train(&format!("good-{file}")).code, Some(0), "{file}");
        let good = place.bytes(file);
        for (what, bytes) in damages(&good, 13).into_iter().take(8) {
            fs::write(place.path(file), &bytes).expect("written");
            let out = format!("out-{file}");
            let done = train(&out);
            if what.starts_with("cut") || done.code != Some(0) {
                done.assert_refused(&format!("{file}, {what}"));
                assert!(done.err.contains(file), "{what}: {}", done.err);
                assert!(
                    !place.path(&out).exists(),
                    "{file}, {what}: a run was begun"
                );
            } else {
                fs::remove_dir_all(place.path(&out)).expect("removed"); // another pixel, say
            }
        }
        // Other data under the same name: the run does not go on with them.
        let mut changed = bytes.clone();
        changed[5] ^= 64;
        match file {
            "d.npy" => write_npy(&place.path(file), ArrayRef::u8(&[60, 28, 28], &changed)),
            _ => continue,
        }
        .expect("written");
        let message = place.refused(&["train", "--resume", "good-d.npy", "--epochs", "2"]);
        assert!(message.contains("other data"), "{message}");
    }
}

#[test]
fn labels_and_impossible_sizes_are_refused() {
    let place = Place::new();
    let mut huge = vec![
        0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    ];
    huge.extend([0; 100]);
    fs::write(place.path("huge.idx"), huge).expect("written");
    let labels = [&[0, 0, 8, 1, 0, 0, 0, 60][..], &[7; 60]].concat();
    fs::write(place.path("labels.idx"), labels).expect("written");
    let narrow: Vec<u8> = vec![9; 60 * 9];
    write_npy(
        &place.path("narrow.npy"),
        ArrayRef::u8(&[60, 3, 3], &narrow),
    )
    .expect("written");
    for (file, part) in [
        ("huge.idx", "truncated"),
        ("labels.idx", "labels"),
        ("narrow.npy", "784"),
    ] {
        let set = format!("data.set={:?}", place.at(file));
        let message = place.refused(&small("run", &["--set", set.as_str()]));
        assert!(message.contains(part), "{file}: {message}");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.train("run", &["--epochs", "1"]);
    fs::write(place.path("file"), "").expect("written");
    assert!(place.refused(&small("file", &[])).contains("is a file"));
    assert!(place.refused(&small("file/run", &[])).contains("file/run"));
    for target in ["/dev/null/s.png", "no/such/folder/s.png"] {
        let message = place.refused(&["sample", "run", "--out", target]);
        assert!(message.contains(target), "{message}");
    }
    fs::create_dir(place.path("locked")).expect("made");
    let locked = fs::Permissions::from_mode(0o555);
    fs::set_permissions(place.path("locked"), locked).expect("set");
    let program = Path::new(env!("CARGO_BIN_EXE_ganforge"));
    // Nor what cannot be read.
    fs::write(place.path("my.toml"), "").expect("written");
    let unreadable = fs::Permissions::from_mode(0o000);
    fs::set_permissions(place.path("my.toml"), unreadable).expect("set");
    for (arguments, file) in [
        (&small("locked/run", &[])[..], "locked/run"),
        (&["sample", "run", "--out", "locked/s.npy"], "locked/s.npy"),
        (&["train", "my.toml"], "my.toml"),
    ] {
        let Some(mut command) = testkit::bound_by_permissions(program, &place.path("")) else {
            return;
        };
        place.surround(&mut command);
        let done = Done::of(command.args(arguments).output().expect("runs"));
        done.assert_refused_by_system(file);
        assert!(done.err.contains(file), "{}", done.err);
        assert!(done.err.contains("Permission denied"), "{}", done.err);
    }
}

/// Runs the program on a disk of `kib` KiB mounted at `disk`, in a mount name space of its own.
#[cfg(target_os = "linux")]
fn on_small_disk(place: &Place, kib: u32, script: &str) -> Option<Done> {
    fs::create_dir_all(place.path("disk")).expect("made");
    let mount = format!("mount -t tmpfs -o size={kib}k none disk || exit 77\n{script}");
    let program = env!("CARGO_BIN_EXE_ganforge");
    let mut command = place.within("unshare", &["-rm", "sh", "-c", &mount, "sh", program]);
    let output = command.stdin(Stdio::null()).output().ok()?;
    let done = Done::of(output);
    let is_unable = done.code == Some(77) || done.err.contains("unshare");
    (!is_unable).then_some(done)
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_run_and_leaves_the_last_good_checkpoint() {
    let place = Place::new();
    // A checkpoint has about 650 KiB: room for one and a half. Then the disk becomes larger.
    let script = "\
        \"$1\" train tiny --epochs 3 --set train.batch=100 --set eval.samples=50 --out disk/run
        first=$?
        ls -A disk/run/checkpoints >&2
        mount -o remount,size=64m disk || exit 77
        \"$1\" train --resume disk/run >&2 || exit 1
        exit $first";
    let Some(done) = on_small_disk(&place, 1000, script) else {
        return testkit::skip("mount", "this user may not mount a small disk");
    };
    done.assert_refused_by_system("a full disk");
    assert!(done.err.contains("No space left on device"), "{}", done.err);
    assert!(
        done.err
            .contains("error: disk/run/checkpoints/step-00000080.npz"),
        "{}",
        done.err
    );
    assert!(done.err.contains("\nstep-00000040.npz\n"), "{}", done.err);
    assert!(!done.err.contains(".part"), "{}", done.err);
    assert!(done.err.contains("Parzen log-likelihood"), "{}", done.err);
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_at_its_node() {
    let place = Place::new();
    // Far too large steps: by batches of 1000 the first epochs, of 4 steps, are still finite.
    let more = [
        "--epochs",
        "20",
        "--set",
        "optimizer.lr=30",
        "--set",
        "train.batch=1000",
    ];
    let done = place.run(&small("run", &more));
    assert_eq!(done.code, Some(1), "{}", done.err);
    let message = done
        .err
        .lines()
        .find(|l| l.starts_with("error: "))
        .expect("a message");
    let step = message
        .split("step ")
        .nth(1)
        .and_then(|s| s.split(':').next());
    let step: u64 = step.and_then(|s| s.parse().ok()).expect("the step");
    let last = place.last_checkpoint("run");
    assert!(message.contains("is not finite"), "{message}");
    assert!(
        message.contains("the first node that went bad is %"),
        "{message}"
    );
    assert!(
        message.contains("crates/gan/src/"),
        "the line that recorded it: {message}"
    );
    assert!(message.contains(&last), "{message}");
    assert!(
        last <= format!("run/checkpoints/step-{step:08}.npz"),
        "{last} for step {step}"
    );
    place.ok(&["sample", "run", "-n", "4"]);
    // The page was made, and says where it stopped; again by hand: the same.
    let page = place.text("run/report.html");
    let data = crate::browser::page_data(&page);
    let failure = data["runs"][0]["failure"].as_str().expect("why it stopped");
    assert_eq!(message, format!("error: {failure}"));
    place.ok(&["report", "run", "--out", "again.html"]);
    assert!(place.text("again.html") == page);
    // Resumed, it goes wrong again at the same step.
    let again = place.run(&["train", "--resume", "run"]);
    assert_eq!(again.code, Some(1), "{}", again.err);
    assert!(
        again.err.contains(&format!("step {step}:")),
        "{}",
        again.err
    );
    assert_eq!(place.last_checkpoint("run"), last);
}

#[test]
fn a_run_that_fails_at_once_has_a_report_and_says_that_there_is_nothing_to_draw_from() {
    let place = Place::new();
    let done = place.run(&small("run", &["--set", "optimizer.lr=1000"]));
    done.assert_failed(1, "far too large steps");
    place.ok(&["report", "run", "--out", "page.html"]);
    let data = crate::browser::page_data(&place.text("page.html"));
    let failure = data["runs"][0]["failure"].as_str().expect("why it stopped");
    assert!(failure.contains("is not finite"), "{failure}");
    let message = place.refused(&["sample", "run"]);
    let expected = "its training failed before the first checkpoint: ";
    assert!(message.contains(expected), "{message}");
    assert!(message.contains("is not finite"), "{message}");
}
