//! What users give that is not what it seems: arrays of other scales, damaged files, one file under two names.

use ganforge::gan::files::{Array, ArrayData, ArrayRef, read_npy, read_npz, write_npy, write_npz};

#[cfg(unix)]
use crate::common::Done;
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

#[test]
fn a_file_under_two_names_is_written_once() {
    let place = Place::new();
    std::fs::create_dir(place.path("d")).expect("made");
    place.ok(&["export", "--pretrained", "mnist", "--out", "g.npz"]);
    let absolute = place.at("f.npy");
    let sample = |generator: &[&str], more: &[&str]| {
        let message = place.refused(&[&["sample", "-n", "2"], generator, more].concat());
        assert!(message.contains("is the same file as"), "{message}");
        message
    };
    let mnist = ["--pretrained", "mnist"];
    for other in ["f.npy", "./f.npy", "d/../f.npy", &absolute] {
        let message = sample(&mnist, &["--out", "f.npy", "--noise", other]);
        assert!(message.contains(&format!("--noise {other}: ")), "{message}");
        sample(&mnist, &["--out", "f.npy", "--out", other]);
        assert!(!place.path("f.npy").exists(), "before anything is written");
    }
    let before = place.bytes("g.npz");
    sample(&["g.npz"], &["--out", "./g.npz"]);
    assert_eq!(place.bytes("g.npz"), before);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("d", place.path("e")).expect("linked");
        sample(&mnist, &["--out", "d/f.npy", "--noise", "e/f.npy"]);
        std::fs::write(place.path("f.npy"), "").expect("written");
        std::os::unix::fs::symlink("f.npy", place.path("link.npy")).expect("linked");
        sample(&mnist, &["--out", "f.npy", "--noise", "link.npy"]);
    }
    place.ok(&[
        "sample",
        "--pretrained",
        "mnist",
        "-n",
        "2",
        "--out",
        "d/f.npy",
        "--noise",
        "z.npy",
    ]);
}

#[test]
fn samples_that_are_not_finite_are_counted_and_not_written() {
    let place = Place::new();
    let set = [
        "generator.layer.out.activation=linear",
        "generator.layer.out.bias=0",
    ];
    place.train("run", &["--epochs", "1", "--set", set[0], "--set", set[1]]);
    let checkpoint = place.path(&place.last_checkpoint("run"));
    // The first value of a sample: the bias, and the first hidden unit, a ReLU, times a factor.
    let set_first_value = |factor: f32, bias: f32| {
        let mut arrays = read_npz(&checkpoint).expect("read");
        let mut set = |name: &str, of: &dyn Fn(usize) -> f32| {
            let entry = arrays.iter_mut().find(|(n, _)| n == name);
            let ArrayData::F32(values) = &mut entry.expect("there").1.data else {
                panic!("{name} is not f32");
            };
            for (i, value) in values.iter_mut().step_by(784).enumerate() {
                *value = of(i);
            }
        };
        set("G.out.w", &|i| if i == 0 { factor } else { 0.0 });
        set("G.out.b", &|_| bias);
        let arrays = arrays.iter().map(|(n, a)| (n.clone(), a.as_ref()));
        write_npz(&checkpoint, arrays).expect("written");
    };
    set_first_value(1.0, 0.0);
    place.ok(&["sample", "run", "-n", "40", "--out", "unit.npy"]);
    let unit = read_npy(&place.path("unit.npy")).expect("read");
    let ArrayData::F32(unit) = unit.data else {
        panic!("samples are f32");
    };
    let fires = unit.iter().step_by(784).filter(|h| **h > 0.0).count();
    assert!((1..40).contains(&fires), "{fires} of 40");

    set_first_value(f32::MAX, f32::MAX);
    let done = place.run(&[
        "sample", "run", "-n", "40", "--out", "x.npy", "--out", "x.png",
    ]);
    done.assert_failed(1, "samples that are not finite");
    let expected = format!(
        "run, after step 40: {fires} of 40 samples contain NaN or infinite values; nothing was written"
    );
    assert!(done.err.contains(&expected), "{}", done.err);
    assert!(!place.path("x.npy").exists() && !place.path("x.png").exists());
}

/// g.npz with these bytes as what it says of its run.
fn with_about(place: &Place, about: &[u8]) {
    let mut arrays = read_npz(&place.path("g.npz")).expect("read");
    let entry = arrays.iter_mut().find(|(name, _)| name == "about");
    let array = &mut entry.expect("there").1;
    *array = Array {
        shape: vec![about.len()],
        data: ArrayData::U8(about.to_vec()),
    };
    let arrays = arrays
        .iter()
        .map(|(name, array)| (name.clone(), array.as_ref()));
    write_npz(&place.path("changed.npz"), arrays).expect("written");
}

#[test]
fn what_a_generator_has_learnt_from_does_not_get_lost_in_silence() {
    let place = Place::new();
    place.train("run", &["--epochs", "1"]);
    place.ok(&["export", "run", "--out", "g.npz"]);
    for about in [
        &b"xx"[..],
        b"[]",
        b"\xff",
        b"{\"data\": {}}",
        b"{\"data\": {\"sha256\": 1}}",
    ] {
        with_about(&place, about);
        let message = place.refused(&["eval", "changed.npz"]);
        assert!(
            message.contains("changed.npz") && message.contains("about"),
            "{message}"
        );
    }
    for about in [&b""[..], b"{}"] {
        with_about(&place, about);
        let done = place.run(&["eval", "changed.npz", "--json"]);
        assert_eq!(done.code, Some(0), "{}", done.err);
        let said = "changed.npz: its training data are not recorded; using those of its configuration, mnist";
        assert!(done.err.contains(said), "{}", done.err);
    }
    let done = place.run(&["eval", "g.npz", "--json"]);
    assert!(!done.err.contains("not known"), "{}", done.err);
}

#[cfg(unix)]
#[test]
fn a_pipe_in_a_folder_is_refused_and_not_waited_for() {
    let place = Place::new();
    let fifo = |name: &str| {
        std::fs::create_dir_all(place.path(name).parent().expect("a folder")).expect("made");
        let made = std::process::Command::new("mkfifo")
            .arg(place.path(name))
            .status();
        assert!(made.expect("mkfifo runs").success());
    };
    for name in ["pictures/x.png", "cifar/data_batch_1.bin", "faces.mat"] {
        fifo(name);
        let folder = name.split('/').next().expect("a part");
        let set = format!("data.set=./{folder}");
        let message = place.refused(&["train", "tiny", "--set", &set, "--out", "run"]);
        let reason = "is a pipe, a socket or a device, expected a regular file";
        assert!(
            message.contains(name) && message.contains(reason),
            "{message}"
        );
    }
    fifo("stick/data_batch_1.bin");
    let message = place
        .run(&["data", "fetch", "cifar10", "--from", "stick"])
        .err;
    assert!(message.contains("expected a regular file"), "{message}");
}

#[test]
fn what_is_no_run_is_said_as_what_it_is() {
    let place = Place::new();
    let message = place.refused(&["eval", "nope.npz"]);
    assert!(
        message.contains("nope.npz: is not a run: there is no such file or folder"),
        "{message}"
    );
    let export = ["export", "--pretrained", "mnist", "--out"];
    place.ok(&[&export[..], &["g.npz"]].concat());
    place.ok(&[&export[..], &["g.safetensors"]].concat());
    write_npy(&place.path("a.npy"), ArrayRef::f32(&[1, 1], &[0.0])).expect("written");
    for (file, what) in [
        ("g.npz", "an archive of arrays or a generator"),
        ("g.safetensors", "a file of tensors or a generator"),
        ("a.npy", "an array"),
    ] {
        for command in ["explain", "graph", "train"] {
            let message = place.refused(&[command, file]);
            assert!(
                message.contains(&format!("{file}: is {what}"))
                    && message.contains("a preset, a TOML file or the folder of a run"),
                "{message}"
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn what_may_not_be_looked_at_is_not_called_missing() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    std::fs::create_dir(place.path("locked")).expect("made");
    std::fs::write(place.path("locked/any"), "").expect("written");
    let unreadable = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(place.path("locked"), unreadable).expect("set");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_ganforge"));
    let set = "data.set=locked/any";
    for arguments in [
        &["eval", "locked/any"][..],
        &["sample", "locked/any"],
        &["graph", "locked/any"],
        &["report", "locked/any"],
        &["train", "tiny", "--set", set, "--out", "run"],
    ] {
        let Some(mut command) = testkit::bound_by_permissions(program, &place.path("")) else {
            return;
        };
        place.surround(&mut command);
        let done = Done::of(command.args(arguments).output().expect("runs"));
        done.assert_refused_by_system("locked/any");
        assert!(
            done.err.contains("locked/any") && done.err.contains("Permission denied"),
            "{}",
            done.err
        );
    }
}
