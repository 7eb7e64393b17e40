//! Dropout that ends after some epochs: the plan changes, the run goes on.

use ganforge_gan::config::Config;
use ganforge_gan::data::Images;
use ganforge_gan::trainer::Trainer;
use ganforge_see::trace::Trace;
use ganforge_tensor::Device;

/// Two steps an epoch.
fn images() -> Images {
    let bytes = (0..20 * 784).map(|i| (i * 7919 % 256) as u8);
    Images::from_bytes(784, bytes.collect::<Vec<u8>>())
}

fn config(options: &[&str]) -> Config {
    let small = ["train.batch=10", "train.average=0.9"];
    let preset = Config::preset("tiny");
    preset
        .and_then(|c| c.with(&[&small, options].concat()))
        .unwrap()
}

const KEEP: &str = "discriminator.layer.h0.keep_prob=0.8";
const ENDS: [&str; 2] = [KEEP, "discriminator.layer.h0.dropout_epochs=1"];
const NONE: &str = "discriminator.layer.h0.keep_prob=1";

fn after(trainer: &mut Trainer, steps: usize) -> Vec<ganforge_gan::trainer::StepReport> {
    (0..steps).map(|_| trainer.step().unwrap()).collect()
}

#[test]
fn up_to_its_last_epoch_it_is_there_and_then_it_is_not() {
    let mut ends = Trainer::new(&config(&ENDS), &images()).unwrap();
    let mut stays = Trainer::new(&config(&[KEEP]), &images()).unwrap();
    assert_eq!(after(&mut ends, 2), after(&mut stays, 2));
    let mut none = Trainer::new(&config(&[NONE]), &images()).unwrap();
    none.set_store(stays.store().clone());
    let reports = after(&mut ends, 3);
    assert_eq!(reports, after(&mut none, 3));
    assert!(ends.store() == none.store());
    assert_ne!(reports, after(&mut stays, 3));
}

#[test]
fn a_run_resumed_beyond_the_last_epoch_has_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&ENDS);
    for stop in [1, 2, 3] {
        let mut whole = Trainer::new(&config, &images()).unwrap();
        after(&mut whole, stop);
        let path = folder.path().join(format!("{stop}.npz"));
        whole.save(&path, "sum").unwrap();
        let mut resumed = Trainer::new(&config, &images()).unwrap();
        resumed.load(&path).unwrap();
        assert_eq!(
            resumed.gradient_norms().unwrap(),
            whole.gradient_norms().unwrap()
        );
        assert_eq!(after(&mut resumed, 3), after(&mut whole, 3), "{stop}");
        assert!(resumed.store() == whole.store(), "{stop}");
    }
}

#[test]
fn a_trace_has_the_masks_that_were_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.npz");
    let trace = Trace::new(&Device::CPU, &config(&ENDS), &images(), 3).unwrap();
    assert_eq!(trace.write(&path, &false.into()).unwrap(), 3);
    let npz = ganforge_gan::files::NpzReader::open(&path).unwrap();
    let names: Vec<&str> = npz.names().collect();
    assert!(names.contains(&"1/mask/real/D.h0"));
    assert!(names.contains(&"2/mask/real/D.out"));
    assert!(!names.contains(&"2/mask/real/D.h0"));
}
