//! Scores by the features of a classifier: those that come with the program, those of a file, and what does not fit.

use ganforge_gan::classifier::Classifier;
use ganforge_gan::config::{Config, Contrast};
use ganforge_gan::data::{Dataset, bundled_sample};
use ganforge_gan::extractors::{BUNDLED, score_samples};
use ganforge_gan::generator::Precision;
use ganforge_gan::metrics::{MetricKind, Scores, fid::Fid, sets};
use ganforge_gan::run::Run;
use ganforge_gan::train;
use ganforge_gan::trainer::Trainer;

fn digits() -> Dataset {
    bundled_sample().expect("bundled")
}

fn fid(extractor: &str, images: usize) -> Vec<MetricKind> {
    vec![MetricKind::Fid(Fid {
        extractor: extractor.to_string(),
        images,
    })]
}

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
        let found = Classifier::find(bundled.name).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(found.image(), bundled.image, "{}", bundled.name);
        assert_eq!(found.config().name, bundled.name);
    }
    let mut mnistnet = Classifier::find("mnistnet").expect("bundled");
    assert_eq!((mnistnet.n_features(), mnistnet.n_classes()), (128, 10));
    let data = digits();
    let images = data.test.to_f32(0..data.test.n()).expect("rows");
    let mut counts = [0; 10];
    let classes = mnistnet.classes(&images).expect("classes");
    classes.iter().for_each(|&class| counts[class] += 1);
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
    let mut mnistnet = Classifier::find("mnistnet").expect("bundled");
    let mut features = |images: &[f32]| mnistnet.features(images).expect("features");
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
            "takes images of 28x28x1, and those of the data are 32x32x3",
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
    let mnistnet = Classifier::find("mnistnet").expect("bundled");
    mnistnet.write(&path, Precision::Half).expect("written");
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
    let error = train::check(&data, &config)
        .expect_err("no such file")
        .to_string();
    assert!(
        error.contains("eval.metrics: fid: ") && error.contains("my-net.npz"),
        "{error}"
    );
}
