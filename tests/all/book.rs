//! The book (docs/book) is whole, its links lead somewhere, and what it prints is what is printed. Its Rust is run by the
//! documentation tests of src/book.rs, its Python by tests/interchange.rs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::Place;
use ganforge::gan::{Config, game};
use ganforge::tensor::{Graph, Keep};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The names of the files in a folder, in order.
fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder");
    let names = entries.map(|e| e.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|n| n.to_string_lossy().into()).collect();
    names.sort();
    names
}

/// The pages of the book, relative to its `src`.
fn pages() -> Vec<String> {
    let chapters = names("docs/book/src").into_iter();
    let ops = names("docs/book/src/ops").into_iter();
    let all = chapters.chain(ops.map(|n| format!("ops/{n}")));
    all.filter(|n| n.ends_with(".md")).collect()
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn page(name: &str) -> String {
    read(&format!("docs/book/src/{name}"))
}

/// What a text consists of: lines outside of fences, and fenced blocks by language.
fn parts(text: &str) -> (Vec<&str>, Vec<(&str, Vec<&str>)>) {
    let (mut prose, mut blocks) = (Vec::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        match line.strip_prefix("```") {
            Some(language) => blocks.push((
                language,
                lines.by_ref().take_while(|l| *l != "```").collect(),
            )),
            None => prose.push(line),
        }
    }
    (prose, blocks)
}

/// The targets of the links in some lines: what stands in `](...)`, without an anchor.
fn links<'a>(prose: &[&'a str]) -> Vec<&'a str> {
    let after = prose.iter().flat_map(|l| l.split("](").skip(1));
    let targets = after.filter_map(|rest| rest.split(')').next());
    let targets = targets.map(|t| t.split('#').next().unwrap_or(t));
    targets
        .filter(|t| !t.is_empty() && !t.contains("://"))
        .collect()
}

#[test]
fn the_contents_name_every_page_and_no_other() {
    let summary = page("SUMMARY.md");
    let mut listed: Vec<&str> = links(&parts(&summary).0);
    listed.sort_unstable();
    let mut there = pages();
    there.retain(|p| p != "SUMMARY.md");
    there.sort();
    assert_eq!(listed, there);
}

#[test]
fn every_op_has_a_page() {
    let ops = names("crates/tensor/src/ops").into_iter();
    let wanted: Vec<String> = ops
        .filter(|n| n != "mod.rs")
        .map(|n| n.replace(".rs", ".md"))
        .collect();
    let mut there = names("docs/book/src/ops");
    there.retain(|n| n != "README.md");
    assert_eq!(there, wanted);
    let contents = page("ops/README.md");
    let contents = links(&parts(&contents).0);
    for name in wanted {
        let source = format!("ops/{}", name.replace(".md", ".rs"));
        assert!(contents.contains(&name.as_str()), "{name}");
        assert!(page(&format!("ops/{name}")).contains(&source), "{name}");
    }
}

#[test]
fn every_block_of_code_is_of_a_kind_that_is_run() {
    let tested = read("src/book.rs");
    for name in pages() {
        let text = page(&name);
        let (prose, blocks) = parts(&text);
        for (language, _) in &blocks {
            match *language {
                "rust" => assert!(
                    tested.contains(&format!("\"{name}\"")),
                    "{name}: not in src/book.rs"
                ),
                "console" | "text" => {}
                "python" | "sh" => assert_eq!(name, "interchange.md"),
                other => panic!("{name}: a block of {other:?}"),
            }
        }
        // An indented block would be a formula to a reader and Rust to rustdoc.
        assert!(
            !prose.iter().any(|l| l.starts_with("    ")),
            "{name}: fence it as text"
        );
    }
}

#[test]
fn links_lead_to_files() {
    let mut files: Vec<String> = ["README.md", "CONTRIBUTING.md"].map(String::from).into();
    files.extend(
        names("docs")
            .iter()
            .filter(|n| n.ends_with(".md"))
            .map(|n| format!("docs/{n}")),
    );
    files.extend(pages().iter().map(|n| format!("docs/book/src/{n}")));
    for file in files {
        let text = read(&file);
        let folder = root().join(Path::new(&file).parent().expect("a folder"));
        for link in links(&parts(&text).0) {
            assert!(folder.join(link).exists(), "{file}: {link}");
        }
    }
}

/// A line `...` stands for any number of lines.
#[test]
fn consoles_print_what_they_show() {
    let place = Place::new();
    for name in pages() {
        let text = page(&name);
        for (_, lines) in parts(&text).1.iter().filter(|b| b.0 == "console") {
            for shown in lines.join("\n").split("$ ganforge ").skip(1) {
                let (command, expected) = shown.split_once('\n').expect("an answer");
                let words: Vec<&str> = command.split_whitespace().collect();
                let printed = format!("{}\n", place.ok(&words).trim_end());
                let mut rest = printed.as_str();
                for piece in expected.trim_end().split("...").map(str::trim) {
                    let at = rest.find(piece);
                    let at = at.unwrap_or_else(|| {
                        panic!("{name}: {command} prints no\n{piece}\nbut\n{printed}")
                    });
                    rest = &rest[at + piece.len()..];
                }
            }
        }
    }
}

#[test]
fn the_plan_of_the_mnist_step_is_the_one_shown() {
    let config = Config::preset("mnist-2014").expect("a preset");
    let graph = Graph::new();
    let step = game::record(&graph, &config, 784).expect("recorded");
    let plan = step.plan(Keep::Fetched).expect("compiled").to_string();
    let lines: Vec<&str> = plan.lines().map(str::trim_end).collect();
    let text = page("plan.md");
    let shown = parts(&text).1;
    assert!(
        shown
            .iter()
            .any(|(language, block)| *language == "text" && *block == lines),
        "expected\n{plan}"
    );
}
