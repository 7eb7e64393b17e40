//! Tells the program which commit and which compiler it is made of.

use std::path::Path;
use std::process::Command;

fn main() {
    let commit = answer("git", &["rev-parse", "HEAD"]);
    println!(
        "cargo::rustc-env=GANFORGE_COMMIT={}",
        commit.as_deref().unwrap_or("unknown")
    );
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_string());
    let rustc = answer(&rustc, &["--version"]);
    println!(
        "cargo::rustc-env=GANFORGE_RUSTC={}",
        rustc.as_deref().unwrap_or("unknown")
    );
    println!("cargo::rerun-if-changed=build.rs");
    // Both change with every commit; a file that is not there would make cargo rebuild each time.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = answer("git", &["rev-parse", "--git-path", file])
            && Path::new(&path).is_file()
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// The first line that a program prints, if it runs and succeeds.
fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_string())
}
