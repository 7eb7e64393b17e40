//! Manifests against the schema that Kubernetes publishes (tests/fixtures/make_job.py).

use serde_json::{Value, json};

use super::*;

fn place(folder: &str) -> Place {
    Place {
        program: "/here/ganforge".into(),
        folder: folder.into(),
        name: "a study".to_owned(),
        device: None,
        threads: Some(4),
        terminate: |_| {},
    }
}

fn settings() -> Kubernetes {
    Kubernetes {
        image: "registry/ganforge:1".to_owned(),
        claim: "disk".to_owned(),
        ..Kubernetes::default()
    }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the schema has the type {other}"),
    }
}

/// What is wrong with a value by a schema: what of JSON Schema the fixture has.
fn faults(value: &Value, schema: &Value, path: &str, all: &mut Vec<String>) {
    let types = match &schema["type"] {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        Value::String(name) => vec![&**name],
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|name| is_of_type(value, name)) {
        all.push(format!("{path} is no {types:?}"));
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        all.push(format!("{path} is not one of {values:?}"));
    }
    if let Some(cases) = schema["oneOf"].as_array() {
        let fits = |case: &&Value| {
            let mut all = Vec::new();
            faults(value, case, path, &mut all);
            all.is_empty()
        };
        if cases.iter().filter(fits).count() != 1 {
            all.push(format!("{path} is none of the cases"));
        }
    }
    for key in schema["required"].as_array().into_iter().flatten() {
        if value.get(key.as_str().expect("a name")).is_none() {
            all.push(format!("{path} has no {key}"));
        }
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        match (&schema["properties"][key], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => all.push(format!("{path} is unknown")),
            (Value::Null, Value::Object(of)) => faults(value, &json!(of), &path, all),
            (Value::Null, _) => {}
            (of, _) => faults(value, of, &path, all),
        }
    }
    for (i, value) in value.as_array().into_iter().flatten().enumerate() {
        faults(value, &schema["items"], &format!("{path}[{i}]"), all);
    }
}

fn faults_of(job: &Value) -> Vec<String> {
    let schema = include_str!("../../../tests/fixtures/job.json");
    let mut all = Vec::new();
    faults(job, &serde_json::from_str(schema).unwrap(), "job", &mut all);
    all
}

#[test]
fn a_manifest_is_as_the_schema_of_kubernetes_wants() {
    let all = Kubernetes {
        data: Some("/disk/data".to_owned()),
        namespace: Some("gans".to_owned()),
        gpus: Some(1),
        memory: Some("4Gi".to_owned()),
        most: Some(2),
        ..settings()
    };
    for (of, folder) in [(&settings(), "/disk/a study"), (&all, "/disk/b")] {
        let job = of.job(&place(folder), "ganforge-1", &[0, 3, 4, 5]).unwrap();
        assert_eq!(faults_of(&job), Vec::<String>::new());
        assert_eq!(job["spec"]["completions"], 4);
    }
    // The schema would find faults.
    let mut job = all.job(&place("/disk/b"), "x", &[0]).unwrap();
    job["spec"]["completionMod"] = json!("Indexed");
    job["spec"]["parallelism"] = json!("2");
    job["spec"]["podFailurePolicy"]["rules"][0] = json!({ "onExitCodes": { "values": [1] } });
    let found = faults_of(&job).join("; ");
    for part in [
        "job.spec.completionMod is unknown",
        "job.spec.parallelism is no",
        "rules[0] has no \"action\"",
        "onExitCodes has no \"operator\"",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
}

#[test]
fn each_index_does_the_trial_of_its_place_in_the_list() {
    let place = place("/disk/it's $(HOME)");
    let job = settings().job(&place, "x", &[0, 3, 4, 5]).unwrap();
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let command = [
        "ganforge",
        "study",
        "work",
        "/disk/it's $$(HOME)",
        "--trial",
        "0,3-5",
        "--index",
        "$(JOB_COMPLETION_INDEX)",
        "--threads",
        "4",
    ];
    assert_eq!(container["command"], json!(command));
    assert_eq!(container["volumeMounts"][0]["mountPath"], "/disk");
    let text = settings().manifest(&place, "x", &[0, 3, 4, 5]).unwrap();
    let begins = "\"apiVersion\": \"batch/v1\"\n\"kind\": \"Job\"\n\"metadata\":\n  \"labels\":\n    \"app.kubernetes.io/name\": \"ganforge\"\n  \"name\": \"x\"\n\"spec\":\n";
    assert!(text.starts_with(begins), "{text}");
    let rule = "      -\n        \"action\": \"FailIndex\"\n        \"onExitCodes\":\n          \"containerName\": \"trial\"\n          \"operator\": \"In\"\n          \"values\": [1]\n";
    assert!(text.contains(rule), "{text}");
}

#[test]
fn what_pods_would_miss_is_refused() {
    let refusal = |of: Kubernetes, folder: &str| {
        let refused = of.manifest(&place(folder), "x", &[0]).unwrap_err();
        refused.to_string()
    };
    let without = Kubernetes {
        image: String::new(),
        ..settings()
    };
    assert!(refusal(without, "/disk/a").contains("engine.image must be given"));
    let elsewhere = Kubernetes {
        mount: Some("/shared".to_owned()),
        ..settings()
    };
    let text = refusal(elsewhere.clone(), "/disk/a");
    assert!(text.contains("mounted at /shared"), "{text}");
    let seen = Kubernetes {
        folder: Some("/shared/a".to_owned()),
        ..elsewhere
    };
    assert!(seen.manifest(&place("/disk/a"), "x", &[0]).is_ok());
    let text = settings().open(&place("/disk/a")).map(drop).unwrap_err();
    assert!(
        text.to_string()
            .contains("ganforge study manifest /disk/a | kubectl")
    );
}
