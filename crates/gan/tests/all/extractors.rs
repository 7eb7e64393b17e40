//! Scores by the features of a classifier: those that come with the program, those of a file, and what does not fit.

use std::path::Path;

use ganforge_gan::classifier::Classifier;
use ganforge_gan::config::{Config, Contrast};
use ganforge_gan::data::{CIFAR10, Dataset, ImageSize, Images, bundled_sample, hash};
use ganforge_gan::extractors::{BUNDLED, Extractor, Pixels, score_samples};
use ganforge_gan::files::{ArrayRef, write_safetensors};
use ganforge_gan::generator::Precision;
use ganforge_gan::inception::Inception;
use ganforge_gan::metrics::sets::protocol::Protocol;
use ganforge_gan::metrics::{Extraction, MetricKind, Scores, fid::Fid, sets};
use ganforge_gan::pytorch;
use ganforge_gan::run::Run;
use ganforge_gan::train;
use ganforge_gan::trainer::Trainer;
use ganforge_tensor::Device;

fn digits() -> Dataset {
    bundled_sample().expect("bundled")
}

fn fid(extractor: &str, images: usize) -> Vec<MetricKind> {
    let looks = Extraction {
        images,
        ..looks(extractor)
    };
    vec![MetricKind::Fid(Fid { looks })]
}

fn looks(extractor: &str) -> Extraction {
    Extraction {
        extractor: extractor.to_string(),
        ..Extraction::default()
    }
}

fn find(extractor: &str) -> Extractor {
    Extractor::find(&looks(extractor)).unwrap_or_else(|e| panic!("{extractor}: {e}"))
}

/// Why there is no such network.
fn refused(extraction: &Extraction) -> String {
    let found = Extractor::find(extraction);
    found.err().expect("refused").to_string()
}

const DIGIT: ImageSize = ImageSize {
    height: 28,
    width: 28,
    channels: 1,
};

/// `n` test images, evenly spaced over all of them.
fn spaced(data: &Dataset, n: usize) -> Vec<f32> {
    let rows = (0..n).map(|i| i * data.test.n() / n);
    let of = |row| data.test.to_f32(row..row + 1).expect("a row");
    rows.flat_map(of).collect()
}

fn value(scores: &Scores) -> f64 {
    scores.values()[0].value
}

#[test]
fn what_is_bundled_takes_images_of_its_size_and_tells_digits_apart() {
    for bundled in BUNDLED {
        let found = find(bundled.name);
        assert_eq!(found.image(), Some(bundled.image), "{}", bundled.name);
        assert_eq!(found.name(), bundled.name);
        assert_eq!(found.sha256().len(), 64);
    }
    let mut mnistnet = find("mnistnet");
    assert_eq!((mnistnet.n_features(), mnistnet.n_classes()), (128, 10));
    let data = digits();
    let images = data.test.to_f32(0..data.test.n()).expect("rows");
    let mut counts = [0; 10];
    let seen = mnistnet.look(DIGIT, Pixels::Units(&images)).expect("seen");
    for logits in seen.logits.chunks(10) {
        let likeliest = (0..10).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
        counts[likeliest.expect("ten classes")] += 1;
    }
    let shares = counts.map(|n| f64::from(n) / data.test.n() as f64);
    assert!(
        shares.iter().all(|s| (0.06..0.14).contains(s)),
        "{shares:?}"
    );
}

#[test]
fn fid_is_that_of_the_features_and_is_called_after_them() {
    let data = digits();
    let n = data.test.n().min(300);
    let images = data.valid.to_f32(0..n).expect("rows");
    let score = |images: &[f32], contrast| {
        score_samples(&fid("mnistnet", n), images, contrast, &data).expect("scored")
    };
    let real = score(&images, Contrast::AsIs);
    let mut mnistnet = find("mnistnet");
    let mut features = |images: &[f32]| {
        let seen = mnistnet.look(DIGIT, Pixels::Units(images));
        seen.expect("features").features
    };
    let (a, b) = (features(&images), features(&spaced(&data, n)));
    let of = |name, values| sets::Features::new(name, values, 128).expect("features");
    let expected = sets::frechet::score(of("a", &a), of("b", &b)).expect("a distance");
    assert_eq!(value(&real), expected);
    assert_eq!(real.values()[0].name, "fid_mnistnet");
    let sentence = real.to_string();
    let counts = format!("({n} samples, {n} test images)");
    assert!(
        sentence.starts_with("FID-mnistnet ") && sentence.ends_with(&counts),
        "{sentence}"
    );
    // From -1 to 1 they are the same images; blurred or dark ones are not.
    let signed: Vec<f32> = images.iter().map(|x| 2.0 * x - 1.0).collect();
    let same = value(&score(&signed, Contrast::Signed));
    assert!((same / expected - 1.0).abs() < 1e-3, "{same} {expected}");
    let dark: Vec<f32> = images.iter().map(|x| 0.3 * x).collect();
    assert!(value(&score(&dark, Contrast::AsIs)) > 5.0 * expected);
    let test = spaced(&data, n);
    assert!(value(&score(&test, Contrast::AsIs)).abs() < 1e-6);
}

#[test]
fn samples_that_cannot_be_scored_are_refused() {
    let data = digits();
    let images = data.test.to_f32(0..20).expect("rows");
    let refused = |metrics: &[MetricKind], images: &[f32], contrast| {
        let error = score_samples(metrics, images, contrast, &data).expect_err("refused");
        error.to_string()
    };
    let error = refused(&fid("mnistnet", 30), &images, Contrast::AsIs);
    assert!(error.contains("fid: needs 30 samples"), "{error}");
    let bytes: Vec<f32> = images.iter().map(|x| 255.0 * x).collect();
    let error = refused(&fid("mnistnet", 20), &bytes, Contrast::AsIs);
    assert!(error.contains("expected pixels from 0 to 1"), "{error}");
    let error = refused(&fid("mnisnet", 20), &images, Contrast::AsIs);
    assert!(error.contains("did you mean mnistnet?"), "{error}");
    let error = refused(&fid("no/such.npz", 20), &images, Contrast::AsIs);
    assert!(error.contains("no/such.npz"), "{error}");
}

#[test]
fn a_network_that_does_not_fit_is_an_error_of_the_configuration() {
    let preset = |name: &str, options: &[&str]| {
        let config = Config::preset(name).expect("a preset");
        config.with(options).map(drop).map_err(|e| e.to_string())
    };
    let fid = "eval.metrics=[\"fid\"]";
    assert_eq!(preset("mnist", &[fid]), Ok(()));
    assert_eq!(preset("dcgan28", &[fid]), Ok(()));
    for (name, option, expected) in [
        (
            "cifar10-conv",
            fid,
            "takes images of 28x28x1, and these are 32x32x3",
        ),
        (
            "mnist",
            "eval.metrics=[{kind=\"fid\", extractor=\"mnistnett\"}]",
            "did you mean mnistnet?",
        ),
        ("ring", fid, "needs images"),
        ("mnistnet", fid, "which scores samples of a generator"),
    ] {
        let error = preset(name, &[option]).expect_err(name);
        assert!(
            error.contains("eval.metrics") && error.contains(expected),
            "{name}: {error}"
        );
    }
    let text = "data.set = 'mnist'\n[eval]\nsamples = 5\nmetrics = [{ kind = 'fid', extractor = 'inception' }]\n";
    let error = Config::from_toml(text, "a.toml")
        .expect_err("refused")
        .to_string();
    assert!(error.starts_with("a.toml:4: eval.metrics"), "{error}");
}

#[test]
fn a_run_is_scored_by_a_classifier_of_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("my-net.npz");
    own_net().write(&path, Precision::Half).expect("written");
    let metrics = format!("eval.metrics=[{{kind=\"fid\", images=60, extractor={path:?}}}]");
    let options = [metrics.as_str(), "train.batch=1000", "train.epochs=1"];
    let config = Config::preset("tiny").and_then(|c| c.with(&options));
    let (config, data) = (config.expect("valid"), digits());
    let mut run = Run::create(&folder.path().join("run"), &config, "{}").expect("made");
    let mut trainer = Trainer::new(&config, &data.train).expect("a trainer");
    train::train(&mut trainer, &data, &mut run, &mut ()).expect("trained");
    let scores = std::fs::read_to_string(folder.path().join("run/scores.csv")).expect("a table");
    assert!(
        scores.starts_with("step,epoch,fid_my_net,fid_samples,fid_test\n"),
        "{scores}"
    );
    std::fs::remove_file(&path).expect("removed");
    let error = train::check(&data, &config, &Device::CPU).err();
    let error = error.expect("no such file").to_string();
    assert!(
        error.contains("eval.metrics: fid: ") && error.contains("my-net.npz"),
        "{error}"
    );
}

/// A small classifier of digits with the values that it begins with, and its configuration.
fn own() -> (Config, Trainer) {
    let small = [
        "classifier.layer.h0.channels=4",
        "classifier.layer.h1.channels=4",
        "classifier.layer.h2.units=8",
    ];
    let config = Config::preset("mnistnet").and_then(|c| c.with(&small));
    let config = config.expect("valid");
    let train = digits().train.with_labels(vec![1; 4000]);
    let trainer = Trainer::new(&config, &train).expect("a trainer");
    (config, trainer)
}

fn own_net() -> Classifier {
    let (config, trainer) = own();
    Classifier::of_run(&config, trainer.store(), DIGIT, "").expect("a classifier")
}

#[test]
fn a_configuration_with_weights_is_the_network_that_they_were_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (config, trainer) = own();
    std::fs::write(path("net.toml"), config.to_toml()).expect("written");
    let weights = path("weights.safetensors");
    pytorch::export(Path::new(&weights), &config, trainer.store(), "C").expect("written");
    let images = digits().test.to_f32(0..3).expect("rows");
    let with = |weights: Option<&str>| Extraction {
        weights: weights.map(String::from),
        ..looks(&path("net.toml"))
    };
    let mut found = Extractor::find(&with(Some(&weights))).unwrap_or_else(|e| panic!("{e}"));
    let seen = found.look(DIGIT, Pixels::Units(&images)).expect("seen");
    assert_eq!(seen.features, own_net().features(&images).expect("seen"));
    assert_eq!((seen.d, seen.classes), (8, 10));
    let alone = refused(&with(None));
    assert!(
        alone.contains("net.toml, a configuration: expected weights"),
        "{alone}"
    );
    let beside = refused(&Extraction {
        weights: Some(weights.clone()),
        ..looks("mnistnet")
    });
    assert!(
        beside.contains("mnistnet, which has weights of its own"),
        "{beside}"
    );
    let tiny = Config::preset("tiny").expect("a preset").to_toml();
    std::fs::write(path("net.toml"), tiny).expect("written");
    let gan = refused(&with(Some(&weights)));
    assert!(gan.contains("is a GAN, and has no classifier"), "{gan}");
}

#[test]
fn the_discriminator_of_a_run_has_features_and_no_classes() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = ["train.batch=1000", "train.epochs=1", "eval.samples=200"];
    let config = Config::preset("tiny").and_then(|c| c.with(&options));
    let (config, data) = (config.expect("valid"), digits());
    let path = folder.path().join("run");
    let mut run = Run::create(&path, &config, "{}").expect("made");
    let mut trainer = Trainer::new(&config, &data.train).expect("a trainer");
    let name = path.to_str().expect("text");
    assert!(refused(&looks(name)).contains("checkpoint"));
    train::train(&mut trainer, &data, &mut run, &mut ()).expect("trained");
    let mut found = find(name);
    let checkpoint = run.last_checkpoint().expect("read").expect("there");
    assert_eq!(found.sha256(), hash::of_file(&checkpoint).expect("a sum"));
    let images = data.test.to_f32(0..150).expect("rows");
    let seen = found.look(DIGIT, Pixels::Units(&images)).expect("seen");
    assert_eq!((seen.n(), seen.classes, seen.logits.len()), (150, 0, 0));
    assert!(seen.features.iter().any(|x| *x != 0.0));
    let scores = score_samples(&fid(name, 60), &images, Contrast::AsIs, &data).expect("scored");
    assert_eq!(scores.values()[0].name, "fid_run");
    let is = [MetricKind::Inception(Default::default())].map(|mut kind| {
        let looks = kind.get_mut().and_then(|m| m.extraction_mut());
        *looks.expect("it looks") = Extraction {
            images: 60,
            ..self::looks(name)
        };
        kind
    });
    let error = score_samples(&is, &images, Contrast::AsIs, &data).expect_err("no classes");
    assert!(
        error
            .to_string()
            .contains("tells classes apart, which this one does not"),
        "{error}"
    );
}

#[test]
fn grey_images_are_repeated_for_a_network_of_colour() {
    let size = CIFAR10.image;
    let grey = ImageSize {
        channels: 1,
        ..size
    };
    let mut cifarnet = find("cifarnet");
    assert_eq!(cifarnet.takes(size).expect("takes them"), None);
    let note = cifarnet.takes(grey).expect("takes them").expect("a note");
    assert!(note.contains("repeated in three channels"), "{note}");
    let pixels: Vec<u8> = (0..2048u32).map(|i| (i * 37 % 251) as u8).collect();
    let colour: Vec<u8> = pixels.iter().flat_map(|p| [*p; 3]).collect();
    let one = cifarnet.look(grey, Pixels::Bytes(&pixels)).expect("seen");
    let three = cifarnet.look(size, Pixels::Bytes(&colour)).expect("seen");
    assert_eq!(one, three);
    assert!(cifarnet.takes(DIGIT).is_err());
}

#[test]
fn images_are_looked_at_in_batches_as_one_by_one() {
    let size = CIFAR10.image;
    let grey = ImageSize {
        channels: 1,
        ..size
    };
    let bytes: Vec<u8> = (0..203 * 1024u32).map(|i| (i * 37 % 251) as u8).collect();
    let units: Vec<f32> = bytes.iter().map(|b| f32::from(*b) / 255.0).collect();
    let mut cifarnet = find("cifarnet");
    let mut look = |pixels| cifarnet.look(grey, pixels).map_err(|e| e.to_string());
    let all = look(Pixels::Bytes(&bytes)).expect("seen");
    assert_eq!((all.n(), all.logits.len()), (203, 2030));
    assert_eq!(look(Pixels::Units(&units)).expect("seen"), all);
    for i in [0, 99, 100, 202] {
        let one = look(Pixels::Bytes(&bytes[i * 1024..][..1024])).expect("seen");
        assert_eq!(one.features, all.features[i * 128..][..128], "image {i}");
    }
    // What is wrong is named by its place among all.
    let mut odd = units.clone();
    odd[150 * 1024 + 7] = 1.5;
    let error = look(Pixels::Units(&odd)).expect_err("no pixel");
    assert!(error.ends_with("image 150 has 1.5 at place 21"), "{error}");
    let error = look(Pixels::Units(&units[1..])).expect_err("no images");
    assert!(error.contains("are rows of 3072 values"), "{error}");
}

#[test]
fn a_protocol_of_bytes_rounds_to_bytes() {
    let bytes: Vec<u8> = (0..1568u32).map(|i| (i * 91 % 256) as u8).collect();
    let units: Vec<f32> = bytes
        .iter()
        .map(|b| (f32::from(*b) + 0.4) / 255.0)
        .collect();
    let units: Vec<f32> = units.into_iter().map(|x| x.min(1.0)).collect();
    let look = |protocol, pixels: Pixels<'_>| {
        let extraction = Extraction {
            protocol,
            ..looks("mnistnet")
        };
        let mut found = Extractor::find(&extraction).expect("bundled");
        found.look(DIGIT, pixels).expect("seen")
    };
    let whole = look(None, Pixels::Bytes(&bytes));
    for (protocol, is_same) in [
        (None, false),
        (Some(Protocol::CompareGan), false),
        (Some(Protocol::TorchFidelity), true),
    ] {
        let same = look(protocol, Pixels::Units(&units)) == whole;
        assert_eq!(same, is_same, "{protocol:?}");
        assert_eq!(look(protocol, Pixels::Bytes(&bytes)), whole);
    }
}

/// Some seconds: 24 million numbers to a file and back, then two passes of 11 GFLOP an image.
#[test]
fn inception_takes_images_of_any_size_by_the_rules_of_a_protocol() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("weights.safetensors");
    let mut state = 1u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Inception::tensors()
        .into_iter()
        .map(|(name, shape)| {
            let n = shape.iter().product();
            let inputs: usize = shape.iter().skip(1).product();
            let scale = (6.0 / inputs as f32).sqrt();
            let values = (0..n).map(|_| match shape.len() {
                1 => 0.5 + draw(),
                _ => scale * (2.0 * draw() - 1.0),
            });
            let values = values.collect();
            (name, shape, values)
        })
        .collect();
    let arrays = tensors
        .iter()
        .map(|(name, shape, values)| (name.as_str(), ArrayRef::f32(shape, values)));
    write_safetensors(&path, Default::default(), arrays).expect("written");
    let with = |protocol| Extraction {
        weights: Some(path.display().to_string()),
        protocol,
        ..looks("inception")
    };
    let missing = refused(&looks("inception"));
    assert!(
        missing.contains("do not come with the program") && missing.contains("SHA-256 6726825d"),
        "{missing}"
    );
    let mut found = Extractor::find(&with(Some(Protocol::TorchFidelity))).expect("read");
    assert_eq!(found.sha256(), hash::of_file(&path).expect("a sum"));
    let note = found.note().expect("not the published weights");
    assert!(
        note.contains("do not compare with published ones"),
        "{note}"
    );
    assert_eq!(
        (found.image(), found.n_features(), found.n_classes()),
        (None, 2048, 1008)
    );
    let grey = found.takes(DIGIT).expect("takes them").expect("a note");
    assert!(grey.contains("repeated in three channels"), "{grey}");
    let bytes: Vec<u8> = (0..784u32).map(|i| (i * 91 % 256) as u8).collect();
    let units: Vec<f32> = bytes.iter().map(|b| f32::from(*b) / 255.0).collect();
    let seen = found.look(DIGIT, Pixels::Bytes(&bytes)).expect("seen");
    assert_eq!(
        found.look(DIGIT, Pixels::Units(&units)).expect("seen"),
        seen
    );
    let as_floats: Vec<f32> = bytes.iter().map(|b| f32::from(*b)).collect();
    let prepared = Protocol::TorchFidelity.prepare(&as_floats, [28, 28, 1]);
    let mut network = Inception::read(&path).expect("read");
    let [features, logits] = network.look(&prepared.expect("bytes")).expect("seen");
    assert_eq!((seen.features, seen.logits), (features, logits));
    let error = found.look(
        DIGIT,
        Pixels::Units(&[vec![0.5; 784], vec![1.5; 784]].concat()),
    );
    let error = error.expect_err("no pixels").to_string();
    assert!(
        error.contains("image 1: ") && error.contains("0 to 255"),
        "{error}"
    );
}

#[test]
fn what_would_stop_a_run_at_its_first_score_stops_it_before_its_first_step() {
    let refused = |options: &[&str], data: &Dataset| {
        let config = Config::preset("tiny").and_then(|c| c.with(options));
        let config = config.unwrap_or_else(|e| panic!("{options:?}: {e}"));
        let checked = train::check(data, &config, &Device::CPU);
        checked.err().map(|e| e.to_string())
    };
    let data = digits();
    assert_eq!(data.test.n(), 500);
    let kid = "eval.metrics=[{kind=\"kid\", protocol=\"torch-fidelity\"}]";
    assert_eq!(
        refused(&[kid], &data).as_deref(),
        Some(
            "eval.metrics: kid: needs 1000 test images or more for its subsets or blocks, and there are 500"
        )
    );
    let mut few = data.clone();
    few.test = Images::from_values(784, data.test.to_f32(0..9).expect("rows"));
    for (metric, needs) in [
        ("is", "needs 10 test images or more for its splits"),
        (
            "{kind=\"precision\", k_density=9}",
            "needs 10 test images or more",
        ),
        ("fid", ""),
    ] {
        let quoted = match metric.starts_with('{') {
            true => metric.to_owned(),
            false => format!("{metric:?}"),
        };
        let options = [format!("eval.metrics=[{quoted}]")];
        let options = options.each_ref().map(String::as_str);
        assert_eq!(refused(&options, &data), None, "{metric}");
        let error = refused(&options, &few).unwrap_or_default();
        assert!(
            error.contains(needs) && error.is_empty() == needs.is_empty(),
            "{metric}: {error}"
        );
    }
    // The validation images by which the best checkpoint is chosen.
    let mut few = data.clone();
    few.valid = Images::from_values(784, data.valid.to_f32(0..9).expect("rows"));
    let best = ["eval.metrics=[\"is\"]", "eval.best=\"is\"", "eval.every=1"];
    let error = refused(&best, &few).expect("too few");
    assert!(
        error.starts_with("eval.best, on validation images: ") && error.ends_with("there are 9"),
        "{error}"
    );
    assert_eq!(
        refused(&[best[0], best[1], best[2], "eval.best_on=test"], &few),
        None
    );
}
