//! `ganforge presets`.

use ganforge::gan::config::{Preset, keys_page, presets};
use serde_json::json;

use super::failure::Failure;
use super::output::say;

/// List and print the bundled configurations.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List their names, each with a one-line summary
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a preset as a TOML file, each key explained
    #[command(after_help = "Example:\n  ganforge presets show mnist > my.toml")]
    Show {
        /// The preset
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List every configuration key with its description, values and default
    Keys,
}

/// Runs the command.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List { json: true } => {
            let presets = presets().iter();
            let list: Vec<_> = presets
                .map(|p| json!({ "name": p.name, "summary": p.summary }))
                .collect();
            say(&json!(list).to_string())
        }
        Command::List { json: false } => {
            let width = presets().iter().map(|p| p.name.len() + 2).max();
            let width = width.unwrap_or(0);
            let lines = presets().iter();
            let lines = lines.map(|p| format!("{:<width$}{}", p.name, p.summary));
            say(&lines.collect::<Vec<_>>().join("\n"))
        }
        Command::Keys => say(keys_page().trim_end()),
        Command::Show { name } => say(Preset::find(name)?.text.trim_end()),
    }
}
