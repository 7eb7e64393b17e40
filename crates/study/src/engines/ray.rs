//! Jobs of a Ray cluster, by the REST API of its dashboard.
//!
//! A trial is a job, `NAME-TRIAL-START`. Ray runs a job once; one that found no room within Ray's time for it is submitted again
//! under the next number.
//!
//! Source: the page "Ray Jobs REST API" of Ray's documentation; what it does not say was seen of Ray 2.60.

use ganforge_settings::{Maybe, closed, settings, text, whole};
use serde_json::Value;

use super::{Engine, EngineError, Place, Runs};

settings! {
    /// Jobs of a Ray cluster.
    pub struct Ray {
        /// Where its dashboard answers.
        pub address: String = "127.0.0.1:8265".to_owned(), text("HOST:PORT, or a URL", is_address);
        /// Cores of a trial.
        #[shown("`threads`, else 1")]
        pub cpus: Option<usize> = None, Maybe(whole(1, 4096));
        /// GPUs of a trial, also parts of one.
        #[shown("none")]
        pub gpus: Option<f64> = None, Maybe(closed(0.0, 64.0));
        /// Ray's runtime environment of a trial, as JSON.
        #[shown("none")]
        pub runtime_env: Option<String> = None, Maybe(text("an object of JSON, such as '{\"env_vars\": {\"A\": \"b\"}}'", is_object));
    }
}

fn is_address(text: &str) -> bool {
    let rest = text
        .trim_start_matches("http://")
        .trim_start_matches("https://");
    !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic())
}

fn is_object(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|v| v.is_object())
}

fn refused(reason: String) -> EngineError {
    EngineError::Refused {
        engine: "ray",
        reason,
    }
}

impl Engine for Ray {
    #[cfg(feature = "ray")]
    fn open(&self, place: &Place) -> Result<Box<dyn Runs>, EngineError> {
        Ok(Box::new(cluster::Cluster::open(self, place)?))
    }

    #[cfg(not(feature = "ray"))]
    fn open(&self, _: &Place) -> Result<Box<dyn Runs>, EngineError> {
        Err(refused(
            "this program was built without the network: build it with the feature `fetch`"
                .to_owned(),
        ))
    }
}

#[cfg(feature = "ray")]
mod cluster;
