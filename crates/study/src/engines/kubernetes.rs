//! Indexed Jobs of Kubernetes, printed: `ganforge study manifest DIR`.
//!
//! Sources: the pages on Jobs, pod failure policy and downward variables of the documentation of Kubernetes, and its schema of
//! batch/v1.

use std::path::Path;

use ganforge_settings::{Maybe, settings, text, whole};
use serde_json::{Value, json};

use super::{Engine, EngineError, Place, Runs, spans};

/// Restarts of a trial before it counts as failed, for Kubernetes; the study counts its own tries.
const RESTARTS: usize = 3;
/// The name of the volume in the manifest.
const VOLUME: &str = "study";

settings! {
    /// Jobs of Kubernetes, which `ganforge study manifest` prints.
    pub struct Kubernetes {
        /// The image of a container that has the program.
        #[shown("none: it must be given")]
        pub image: String = String::new(), text("the name of an image", is_word);
        /// The program in that image.
        pub program: String = "ganforge".to_owned(), text("a program's name or path", |t| !t.is_empty());
        /// The claim of a volume that all pods may write to, on which the study's folder lies.
        #[shown("none: it must be given")]
        pub claim: String = String::new(), text("the name of a PersistentVolumeClaim", is_label);
        /// Where pods mount it.
        #[shown("the folder that has the study's in it")]
        pub mount: Option<String> = None, Maybe(text("an absolute path", is_absolute));
        /// The study's folder as pods see it.
        #[shown("its path on this machine")]
        pub folder: Option<String> = None, Maybe(text("an absolute path", is_absolute));
        /// The data sets' folder as pods see it.
        #[shown("the image's own")]
        pub data: Option<String> = None, Maybe(text("an absolute path", is_absolute));
        /// The namespace.
        #[shown("that of whoever applies the manifest")]
        pub namespace: Option<String> = None, Maybe(text("the name of a namespace", is_label));
        /// GPUs of a trial.
        #[shown("none")]
        pub gpus: Option<usize> = None, Maybe(whole(1, 64));
        /// Memory of a trial.
        #[shown("no limit")]
        pub memory: Option<String> = None, Maybe(text("an amount such as \"4Gi\"", is_amount));
        /// Most pods at a time.
        #[shown("as many as there is room for")]
        pub most: Option<usize> = None, Maybe(whole(1, 100_000));
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())
}

fn is_absolute(text: &str) -> bool {
    text.starts_with('/')
}

/// A label of RFC 1123, as Kubernetes wants for names.
fn is_label(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let at_the_ends = !text.starts_with('-') && !text.ends_with('-');
    (1..=63).contains(&text.len()) && text.bytes().all(good) && at_the_ends
}

fn is_amount(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let units = ["", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"];
    unit.len() < text.len() && units.contains(&unit)
}

fn refused(reason: String) -> EngineError {
    EngineError::Refused {
        engine: "kubernetes",
        reason,
    }
}

impl Engine for Kubernetes {
    fn open(&self, place: &Place) -> Result<Box<dyn Runs>, EngineError> {
        Err(refused(format!(
            "it is given a round at a time: ganforge study manifest {} | kubectl apply -f -",
            place.folder.display()
        )))
    }
}

impl Kubernetes {
    /// The Job that does these trials, as YAML.
    ///
    /// # Errors
    ///
    /// A setting that must be given, or a study's folder that is not on the volume.
    pub fn manifest(
        &self,
        place: &Place,
        name: &str,
        trials: &[usize],
    ) -> Result<String, EngineError> {
        let mut text = String::new();
        yaml(&self.job(place, name, trials)?, 0, &mut text);
        Ok(text)
    }

    fn job(&self, place: &Place, name: &str, trials: &[usize]) -> Result<Value, EngineError> {
        for (key, value) in [("image", &self.image), ("claim", &self.claim)] {
            if value.is_empty() {
                let reason = format!("engine.{key} must be given, in study.toml or with --set");
                return Err(refused(reason));
            }
        }
        let folder = match &self.folder {
            Some(folder) => Path::new(folder),
            None => &place.folder,
        };
        let mount = match &self.mount {
            Some(mount) => Path::new(mount),
            None => folder.parent().unwrap_or(folder),
        };
        if !folder.starts_with(mount) {
            return Err(refused(format!(
                "pods would not see the study's folder {}: the volume is mounted at {}; engine.folder is the folder's path in a pod",
                folder.display(),
                mount.display()
            )));
        }
        let cpus = place.threads.unwrap_or(1).to_string();
        let mut limits = json!({});
        if let Some(gpus) = self.gpus {
            limits["nvidia.com/gpu"] = json!(gpus.to_string());
        }
        let mut requests = json!({ "cpu": cpus });
        if let Some(memory) = &self.memory {
            (requests["memory"], limits["memory"]) = (json!(memory), json!(memory));
        }
        let (shown, mount) = (folder.display().to_string(), mount.display().to_string());
        // Kubernetes replaces $(NAME); $$ stands for one $.
        let literal = |text: &str| text.replace("$(", "$$(");
        let trials_of = spans(trials);
        let index = "$(JOB_COMPLETION_INDEX)";
        let command = [&*literal(&self.program), "study", "work", &*literal(&shown)];
        let arguments = ["--trial", &trials_of, "--index", index, "--threads", &cpus];
        let words = [&command[..], &arguments].concat();
        let mut container = json!({
            "name": "trial",
            "image": self.image,
            "command": words,
            "workingDir": shown,
            "resources": { "requests": requests, "limits": limits },
            "volumeMounts": [{ "name": VOLUME, "mountPath": mount }],
        });
        if let Some(data) = &self.data {
            container["env"] = json!([{ "name": "GANFORGE_DATA", "value": literal(data) }]);
        }
        let on_codes = |action: &str, codes: &[u8]| json!({ "action": action, "onExitCodes": { "containerName": "trial", "operator": "In", "values": codes } });
        let mut job = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "name": name, "labels": { "app.kubernetes.io/name": "ganforge" } },
            "spec": {
                "completionMode": "Indexed",
                "completions": trials.len(),
                "parallelism": self.most.unwrap_or(trials.len()).min(trials.len()),
                "backoffLimitPerIndex": RESTARTS,
                "podFailurePolicy": { "rules": [
                    // A loss that turned NaN would do so again; bad input stops the study; a pod that was taken away is no failure.
                    on_codes("FailIndex", &[1]),
                    on_codes("FailJob", &[2]),
                    { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
                ]},
                "template": { "spec": {
                    "restartPolicy": "Never",
                    // A checkpoint of the largest nets takes a while to write.
                    "terminationGracePeriodSeconds": 120,
                    "containers": [container],
                    "volumes": [{ "name": VOLUME, "persistentVolumeClaim": { "claimName": self.claim } }],
                }},
            },
        });
        if let Some(namespace) = &self.namespace {
            job["metadata"]["namespace"] = json!(namespace);
        }
        Ok(job)
    }
}

/// Appends a value as YAML: tables and lists as blocks, all else as JSON, which YAML 1.2 reads alike.
fn yaml(value: &Value, depth: usize, to: &mut String) {
    let pairs: Vec<(String, &Value)> = match value {
        Value::Object(table) => table
            .iter()
            .map(|(k, v)| (format!("{}:", json!(k)), v))
            .collect(),
        Value::Array(list) => list.iter().map(|v| ("-".to_owned(), v)).collect(),
        _ => Vec::new(),
    };
    for (head, value) in pairs {
        to.push_str(&"  ".repeat(depth));
        to.push_str(&head);
        let is_block = match value {
            Value::Object(table) => !table.is_empty(),
            Value::Array(list) => list.iter().any(|v| v.is_object() || v.is_array()),
            _ => false,
        };
        match is_block {
            true => {
                to.push('\n');
                yaml(value, depth + 1, to);
            }
            false => *to += &format!(" {value}\n"),
        }
    }
}

#[cfg(test)]
mod tests;
