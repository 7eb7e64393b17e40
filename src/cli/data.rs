//! `ganforge data`.

mod show;

use ganforge::gan::data::{self, Cache, DataSet};
use ganforge::tensor::words::counted;
use serde_json::{Value, json};

use super::failure::Failure;
use super::output::{say, tell};

const EXAMPLES: &str = "\
Examples:
  ganforge data fetch mnist
  ganforge data fetch fashion-mnist --from /media/stick/fashion
  ganforge data fetch mnist --from https://mirror.example/mnist
  ganforge data fetch cifar10 --from https://mirror.example/cifar-10-binary.tar.gz
  ganforge data fetch tfd --from Downloads       where TFD_48x48.mat is; it has no public mirror
  ganforge data fetch celeba --from Downloads    where img_align_celeba.zip is; saved from its drive by hand

Without --from, files missing in the cache are fetched from the public mirrors, in order. With --from, all files come from
there and nowhere else, even if the cache is complete. Every file is checked against its published checksum; where there is
none, it must be readable. `data list` says where each set is and what it takes on a disk. GANFORGE_DATA names the cache
folder.";

/// Fetch data sets, list the cache, show what is in a set.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Fetch a data set into the cache
    #[command(after_help = EXAMPLES)]
    Fetch {
        #[arg(value_name = "NAME", help = fetchable())]
        name: String,
        /// Folder with the files, plain or .gz, their URL prefix, or the URL of a .tar.gz with them
        #[arg(long, value_name = "DIR|URL")]
        from: Option<String>,
    },
    /// Load a data set: size, parts, classes, a picture of it, how fast minibatches are drawn
    Show(show::Args),
    /// List the data sets in the cache, and where the cache is
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// What is made of data, by the folder of the cache, the ending of its files and what was done; a folder may be removed.
const MADE: [(&str, &str, &str); 2] = [
    ("pictures", "pixels", "decoded"),
    ("features", "npz", "of features for scores"),
];

/// The data sets that can be fetched.
fn fetchable() -> String {
    let published = DataSet::all().filter(|set| matches!(set, DataSet::Published(_)));
    let names: Vec<String> = published.map(|set| set.as_str().to_string()).collect();
    names.join(", ")
}

/// Runs the command.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Fetch { name, from } => {
            let report = data::fetch(name, from.as_deref(), &mut |line| tell(line))?;
            let folder = report.folder.display();
            say(&format!("{name}: {folder} (from {})", report.source))
        }
        Command::Show(args) => show::run(args),
        Command::List { json: false } => say(&list()?),
        Command::List { json: true } => say(&list_json()?.to_string()),
    }
}

/// The cache folder and each data set.
pub(super) fn list_json() -> Result<Value, Failure> {
    let cache = Cache::from_env()?;
    let sets = cache.list().into_iter().map(|(set, problem)| {
        json!({
            "name": set.as_str(), "about": set.about(), "size": set.image().map(|size| size.to_string()),
            "classes": set.classes(), "complete": problem.is_none(), "problem": problem,
            "on_disk": set.on_disk(), "advice": set.advice(),
        })
    });
    let [pictures, features] =
        MADE.map(|(folder, ending, _)| show::made_json(cache.root(), folder, ending));
    Ok(json!({
        "cache": cache.root(), "sets": sets.collect::<Vec<_>>(), "pictures": pictures, "features": features,
    }))
}

/// The cache folder and a line for each data set.
pub(super) fn list() -> Result<String, Failure> {
    let cache = Cache::from_env()?;
    let mut lines = vec![format!("cache: {}", cache.root().display())];
    for (set, problem) in cache.list() {
        let state = match (&set, &problem) {
            (DataSet::Toy(_), _) => format!("drawn from the seed: {}", set.about()),
            (_, None) => "complete, checked".to_string(),
            (_, Some(reason)) => format!("not complete: {reason}"),
        };
        lines.push(format!("  {:<16}{state}", set.as_str()));
        if problem.is_some() {
            let size = set.on_disk().map(|size| format!("takes {size}: "));
            let (size, advice) = (size.unwrap_or_default(), set.advice().unwrap_or_default());
            lines.push(format!("  {:<18}{size}{advice}", ""));
        }
    }
    for (folder, ending, what) in MADE {
        if let Some((files, bytes)) = show::made(cache.root(), folder, ending) {
            let (sets, mb) = (counted(files, "set"), bytes as f64 / 1e6);
            lines.push(format!("  {folder:<16}{sets} {what}, {mb:.1} MB"));
        }
    }
    Ok(lines.join("\n"))
}
