//! Folders that a driver does not take.

use super::*;

#[test]
fn a_folder_of_another_study_version_or_driver_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(good);
    let study = folder(temp.path(), STUDY, &fake);
    drive(&study, &mut Looks::default()).unwrap();
    let refused = |text: &str| {
        let study = folder(temp.path(), text, &fake);
        drive(&study, &mut Looks::default())
            .unwrap_err()
            .to_string()
    };
    let other = refused(&STUDY.replace("hi = 1.0", "hi = 0.1"));
    assert!(
        other.contains("00.json: was proposed by another study.toml"),
        "{other}"
    );
    // What a program that hashed otherwise has begun can be taken over.
    let file = temp.path().join("rounds/00.json");
    let [good, text] = [
        study.fingerprint().unwrap(),
        fs::read_to_string(&file).unwrap(),
    ];
    fs::write(&file, text.replace(&good, "0123")).unwrap();
    let older = refused(STUDY);
    let advice = format!("or make it \"study\": {good:?} in each file of rounds/");
    assert!(older.ends_with(&advice), "{older}");
    fs::write(&file, text).unwrap();
    // What may change while it runs.
    let same = STUDY.replace("tries = 2", "tries = 5\nthreads = 3\nbudget = 50");
    let study = folder(temp.path(), &same, &fake);
    assert_eq!(drive(&study, &mut Looks::default()).unwrap(), Ended::Done);
    let held = crate::drive::take(&study).unwrap();
    let two = refused(STUDY);
    assert!(two.contains("has a driver already, process"), "{two}");
    drop(held);
    let results = temp.path().join("trials/0001/result.json");
    let text = fs::read_to_string(&results).unwrap();
    fs::write(&results, text.replace("\"score\": 2", "\"score\": 3")).unwrap();
    let other = refused(STUDY);
    assert!(
        other.contains("01.json: was proposed from other results"),
        "{other}"
    );
    fs::write(&results, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    let version = refused(STUDY);
    assert!(
        version.contains("result.json: is of version 2 of a study's folder"),
        "{version}"
    );
    fs::write(&results, "{").unwrap();
    assert!(refused(STUDY).contains("result.json"));
    for (path, expected) in [
        ("nowhere", "there is no such folder"),
        ("rounds", "it has no study.toml"),
    ] {
        let error = Folder::open(&temp.path().join(path))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}
