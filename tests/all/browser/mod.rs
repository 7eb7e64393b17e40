//! A headless Chromium, driven through chromedriver.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

const ARGUMENTS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1000",
];

/// How long anything may take on a busy machine before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// The port that chromedriver says it listens at; its output is read to the end, as the pipe must not fill up.
fn port(output: impl Read + Send + 'static) -> Result<String, mpsc::RecvTimeoutError> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                let _ = sender.send(port.trim_end_matches('.').to_string());
            }
        }
    });
    receiver.recv_timeout(PATIENCE)
}

/// A browser with one page, closed when dropped.
pub struct Browser {
    driver: Child,
    agent: ureq::Agent,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts it; `None`, having said why, where this machine has none.
    pub fn start() -> Option<Browser> {
        let mut command = Command::new("chromedriver");
        let command = command.arg("--port=0").stdin(Stdio::null());
        let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut driver) = command.spawn() else {
            testkit::skip("chromium", "chromedriver is not on the PATH");
            return None;
        };
        let port = port(driver.stdout.take().expect("piped"));
        let config = ureq::Agent::config_builder();
        let config = config.http_status_as_error(false).proxy(None);
        let config = config.timeout_global(Some(PATIENCE)).build();
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut browser = Browser {
            driver,
            agent: config.new_agent(),
            session: String::new(),
            _profile: profile,
        };
        // Only now, when dropping the browser ends the driver.
        let port = port.expect("chromedriver says its port in time");
        browser.session = format!("http://127.0.0.1:{port}/session");
        let folder = format!("--user-data-dir={}", browser._profile.path().display());
        let arguments = [&ARGUMENTS[..], &[&folder]].concat();
        let wanted = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let answer = browser.post("", json!({ "capabilities": { "alwaysMatch": wanted } }));
        match answer["value"]["sessionId"].as_str() {
            Some(id) => browser.session = format!("{}/{id}", browser.session),
            None if answer.to_string().contains("cannot find Chrome binary") => {
                testkit::skip("chromium", "chromedriver finds none");
                return None;
            }
            None => panic!("no session: {answer}"),
        }
        Some(browser)
    }

    fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.session);
        let request = self
            .agent
            .post(&url)
            .header("Content-Type", "application/json");
        let mut answer = request
            .send(body.to_string())
            .unwrap_or_else(|e| panic!("{url}: {e}"));
        let text = answer.body_mut().read_to_string().expect("an answer");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{url}: {e}: {text}"))
    }

    fn ask(&self, path: &str, body: Value) -> Value {
        let mut answer = self.post(path, body);
        let value = answer["value"].take();
        assert!(value["error"].is_null(), "{path}: {value}");
        value
    }

    /// Opens a file.
    pub fn open(&self, page: &Path) {
        let url = format!("file://{}", page.display());
        self.ask("/url", json!({ "url": url }));
    }

    /// Asks pages for their dark colours.
    pub fn go_dark(&self) {
        let features = json!([{ "name": "prefers-color-scheme", "value": "dark" }]);
        let command =
            json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": features } });
        self.ask("/goog/cdp/execute", command);
    }

    /// The value of an expression of JavaScript.
    pub fn eval(&self, expression: &str) -> Value {
        let script = format!("return ({expression})");
        self.ask("/execute/sync", json!({ "script": script, "args": [] }))
    }

    /// The value of an expression that is text.
    pub fn text(&self, expression: &str) -> String {
        let value = self.eval(expression);
        let text = value
            .as_str()
            .unwrap_or_else(|| panic!("{expression} is {value}"));
        text.to_string()
    }

    /// Waits until an expression holds.
    pub fn wait_for(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.eval(expression) != true {
            assert!(Instant::now() < deadline, "never: {expression}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn element(&self, selector: &str) -> String {
        let found = self.ask(
            "/element",
            json!({ "using": "css selector", "value": selector }),
        );
        found[ELEMENT].as_str().expect("an element").to_string()
    }

    /// Clicks on an element.
    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.ask(&format!("/element/{element}/click"), json!({}));
    }

    /// Moves the pointer to the middle of an element.
    pub fn point_at(&self, selector: &str) {
        let origin = json!({ ELEMENT: self.element(selector) });
        self.eval(&format!(
            "document.querySelector({selector:?}).scrollIntoView({{ block: 'center' }})"
        ));
        let to = json!({ "type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": origin });
        let pointer = json!({ "type": "pointer", "id": "mouse", "actions": [to] });
        self.ask("/actions", json!({ "actions": [pointer] }));
    }

    /// Presses a key, by its WebDriver code point, wherever the focus is.
    pub fn press(&self, key: char) {
        let actions =
            ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }));
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.ask("/actions", json!({ "actions": [keyboard] }));
    }

    /// What pages of files have requested since the last call: the beginnings of the addresses.
    pub fn requests(&self) -> Vec<String> {
        let log = self.ask("/se/log", json!({ "type": "performance" }));
        let mut found = Vec::new();
        for entry in log.as_array().expect("a list") {
            let text = entry["message"].as_str().expect("text");
            let event: Value = serde_json::from_str(text).expect("JSON");
            let (event, request) = (&event["message"], &event["message"]["params"]);
            let text = |value: &Value| value.as_str().unwrap_or("").to_string();
            // The browser's own first page is none of ours.
            if event["method"] == "Network.requestWillBeSent"
                && text(&request["documentURL"]).starts_with("file:")
            {
                found.push(text(&request["request"]["url"]).chars().take(200).collect());
            }
        }
        found
    }

    /// What the page has written to the console since the last call.
    pub fn console(&self) -> Vec<String> {
        let log = self.ask("/se/log", json!({ "type": "browser" }));
        log.as_array()
            .expect("a list")
            .iter()
            .map(Value::to_string)
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call(); // closes the browser
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The data inside a page.
pub fn page_data(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"data\">").expect("the data");
    let (json, _) = rest.split_once("</script>").expect("their end");
    serde_json::from_str(json).expect("JSON")
}

/// Nothing in the page has an address outside of it; the name of SVG is a name.
pub fn assert_self_contained(page: &str) {
    let page = page.replace("http://www.w3.org/2000/svg", "");
    let page = page.replace("url(#", ""); // arrow heads of the same drawing
    for address in [
        "http:",
        "https:",
        "src=\"",
        "url(",
        "@import",
        "<link rel=\"stylesheet",
    ] {
        assert!(!page.contains(address), "{address}");
    }
    let links = page.matches("href=\"").count();
    assert_eq!(links, page.matches("href=\"data:,\"").count());
}

/// The page is open, without complaint, and the browser asked for nothing but it.
pub fn assert_quiet(browser: &Browser) {
    assert_eq!(browser.console(), Vec::<String>::new());
    let requests = browser.requests();
    assert!(!requests.is_empty());
    let is_own =
        |r: &String| r.starts_with("file://") && r.ends_with(".html") || r.starts_with("data:");
    assert!(requests.iter().all(is_own), "{requests:?}");
    assert_eq!(browser.eval("performance.getEntriesByType('resource').filter((e) => !e.name.startsWith('data:')).length"), 0);
}
