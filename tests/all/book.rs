//! The book (docs/book) is whole, links lead somewhere in all of the project's Markdown, and what the book prints is what
//! is printed. Its Rust is run by the documentation tests of src/book.rs, its Python by tests/all/interchange.rs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::Place;
use ganforge::gan::{Config, game};
use ganforge::tensor::{Graph, Keep, ops};

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
        match line.trim_start().strip_prefix("```") {
            Some(language) => blocks.push((
                language,
                lines.by_ref().take_while(|l| l.trim() != "```").collect(),
            )),
            None => prose.push(line),
        }
    }
    (prose, blocks)
}

/// A page's text outside of fences and `spans`, and those spans.
fn spans(text: &str) -> (String, Vec<String>) {
    let (mut words, mut spans) = (String::new(), Vec::new());
    for paragraph in parts(text).0.split(|line| line.is_empty()) {
        let paragraph = paragraph.join("\n");
        for (i, piece) in paragraph.split('`').enumerate() {
            match i % 2 {
                0 => words += piece,
                _ => spans.push(piece.replace('\n', " ")),
            }
        }
        assert!(paragraph.matches('`').count() % 2 == 0, "{paragraph}");
        words += "\n\n";
    }
    (words, spans)
}

/// The targets of a page's links, without those that lead out of the project.
fn links(text: &str) -> Vec<String> {
    let (words, _) = spans(text);
    let targets = words.split("](").skip(1).filter_map(|l| l.split_once(')'));
    let inside = targets.filter(|(target, _)| !target.contains("://"));
    inside.map(|(target, _)| target.to_string()).collect()
}

/// What the headings of a page are called in links, by the rules of mdBook, which are those of GitHub.
fn anchors(text: &str) -> Vec<String> {
    let headings = parts(text).0.into_iter().filter(|l| l.starts_with('#'));
    let mut anchors: Vec<String> = Vec::new();
    for heading in headings {
        let kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
        let name: String = heading
            .trim_start_matches('#')
            .trim()
            .chars()
            .filter(kept)
            .collect();
        let name = name.to_lowercase().replace(' ', "-");
        let again = anchors.iter().filter(|a| **a == name).count();
        anchors.push(if again == 0 {
            name
        } else {
            format!("{name}-{again}")
        });
    }
    anchors
}

/// The project's Markdown files, relative to its root.
fn markdown_files() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for name in names(&folder).into_iter().filter(|n| !n.starts_with('.')) {
            let path = format!("{folder}{name}");
            if root().join(&path).is_dir() {
                let is_made = ["target", "runs"].contains(&name.as_str());
                folders.extend((!is_made).then(|| format!("{path}/")));
            } else if path.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found
}

/// What is wrong with a link in `file`, whose text is `text`: nothing, where it leads to a file, and to a heading of it.
fn fault(file: &str, text: &str, link: &str) -> Option<&'static str> {
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (link, None),
    };
    let folder = root().join(Path::new(file).parent().expect("a folder"));
    let target = if path.is_empty() {
        root().join(file)
    } else {
        folder.join(path)
    };
    if !target.exists() {
        return Some("no such file");
    }
    let is_there = |anchor: &str| match path {
        "" => anchors(text).iter().any(|a| a == anchor),
        _ => fs::read_to_string(&target).is_ok_and(|t| anchors(&t).iter().any(|a| a == anchor)),
    };
    (!anchor.is_none_or(is_there)).then_some("no such heading")
}

/// What is wrong with a link of the book's page `name` when mdBook has built it. The pages are then those that the contents
/// name, nothing from outside of `src` is there, and README.md has become index.html, which links to it do not know.
fn fault_in_mdbook(name: &str, link: &str, listed: &[String]) -> Option<&'static str> {
    let path = link.split('#').next().filter(|p| !p.is_empty())?;
    let mut at: Vec<&str> = name.split('/').collect();
    at.pop();
    for part in path.split('/') {
        match part {
            ".." if at.pop().is_none() => return Some("leads out of the book"),
            ".." | "." => {}
            part => at.push(part),
        }
    }
    let page = at.join("/");
    match page.ends_with(".md") {
        true if page.ends_with("README.md") => Some("mdBook makes index.html of README.md"),
        true => (!listed.contains(&page)).then_some("not in SUMMARY.md"),
        false => (!root().join("docs/book/src").join(&page).is_file()).then_some("no such file"),
    }
}

#[test]
fn the_contents_name_every_page_and_no_other() {
    let mut listed = links(&page("SUMMARY.md"));
    listed.sort_unstable();
    let mut there = pages();
    there.retain(|p| p != "SUMMARY.md");
    there.sort();
    assert_eq!(listed, there);
}

#[test]
fn every_op_has_a_page() {
    let mut wanted: Vec<String> = ops::NAMES.iter().map(|n| format!("{n}.md")).collect();
    wanted.sort();
    let mut there = names("docs/book/src/ops");
    there.retain(|n| n != "index.md");
    assert_eq!(there, wanted);
    let contents = links(&page("ops/index.md"));
    for name in wanted {
        assert!(contents.contains(&name), "{name}");
        let text = page(&format!("ops/{name}"));
        let named = spans(&text)
            .1
            .into_iter()
            .find(|s| s.starts_with("crates/tensor/src/ops/"));
        let source = read(&named.unwrap_or_else(|| panic!("{name} names no file")));
        let op = name.trim_end_matches(".md");
        assert!(
            source.contains(&format!("\"{op}\"")),
            "{name}: the file of another op"
        );
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
fn links_lead_to_files_and_their_headings() {
    let files = markdown_files();
    assert!(files.len() > 60, "{files:?}");
    for file in files {
        let text = read(&file);
        for link in links(&text) {
            assert_eq!(fault(&file, &text, &link), None, "{file}: {link}");
        }
    }
}

#[test]
fn links_of_the_book_lead_to_its_pages_when_mdbook_has_built_it() {
    let listed = links(&page("SUMMARY.md"));
    for name in pages() {
        for link in links(&page(&name)) {
            let fault = fault_in_mdbook(&name, &link, &listed);
            assert_eq!(fault, None, "{name}: {link}");
        }
    }
}

#[test]
fn a_dead_link_is_found() {
    let text =
        "# Two words\n\n[a](#two-words) `[b](c.md)`\n\n```text\n[d](e.md)\n```\n\n[f\ng](h.md#i)";
    assert_eq!(links(text), ["#two-words", "h.md#i"]);
    let book = "docs/book/src/game.md";
    for (link, expected) in [
        ("#two-words", None),
        ("#three", Some("no such heading")),
        ("ops/detach.md", None),
        ("detach.md", Some("no such file")),
        ("parzen.md#a-score-the-parzen-window", None),
        ("parzen.md#score", Some("no such heading")),
    ] {
        assert_eq!(fault(book, text, link), expected, "{link}");
    }
    let listed = ["game.md".to_string()];
    for (link, expected) in [
        ("../game.md", None),
        ("../vjp.md", Some("not in SUMMARY.md")),
        ("../SUMMARY.md", Some("not in SUMMARY.md")),
        ("../../../theory.md", Some("leads out of the book")),
        ("README.md", Some("mdBook makes index.html of README.md")),
        ("picture.png", Some("no such file")),
    ] {
        assert_eq!(
            fault_in_mdbook("ops/add.md", link, &listed),
            expected,
            "{link}"
        );
    }
}

/// The book names what it cannot link to.
#[test]
fn files_that_the_book_names_exist() {
    let folders = [
        "benches/",
        "crates/",
        "docs/",
        "examples/",
        "kernels/",
        "src/",
        "tests/",
    ];
    for name in pages() {
        for span in spans(&page(&name)).1 {
            let is_example = span.contains("cube.rs"); // of the chapter on adding an op
            if folders.iter().any(|f| span.starts_with(f)) && !is_example {
                assert!(root().join(&span).exists(), "{name}: {span}");
            }
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
