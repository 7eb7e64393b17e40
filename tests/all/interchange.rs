//! Generators in files of other programs' formats. The chapter of the book on it is run block by block.

use crate::common::Place;
use ganforge::gan::files::read_matrix_f32;
use ganforge::kernels::cpu::gemm;

/// The code of a page: what follows the opening fence, and the lines up to the closing one.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let code: Vec<&str> = lines.by_ref().take_while(|l| *l != "```").collect();
            blocks.push((language.to_string(), code.join("\n")));
        }
    }
    blocks
}

/// Whether this machine's Python has all modules that a piece of Python asks for.
fn has_modules(code: &str) -> bool {
    let word = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["import" | "from", module, ..] => Some(module.to_string()),
        _ => None,
    };
    let mut modules = code.lines().filter_map(word);
    modules.all(|module| testkit::has_python(&module))
}

#[test]
fn the_chapter_on_python_does_what_it_says() {
    let place = Place::new();
    // Files that a block makes and another one reads: those of the skipped blocks.
    let mut lacking: Vec<&str> = Vec::new();
    for (language, code) in blocks(include_str!("../../docs/book/src/interchange.md")) {
        match language.as_str() {
            "sh" if lacking.iter().any(|file| code.contains(file)) => {}
            "sh" => {
                for line in code.lines() {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    assert_eq!(words[0], "ganforge", "{line}");
                    place.ok(&words[1..]);
                }
            }
            "python" if code.contains("in our order") && gemm::isa() == gemm::Isa::Portable => {
                testkit::skip("avx2", "the portable product sums in another order");
            }
            "python" if !has_modules(&code) => {
                let made = ["mine.npz", "model.pt", "conv.pt"];
                lacking.extend(made.iter().filter(|file| code.contains(*file)));
            }
            "python" => {
                let mut python = place.within("python3", &["-c", &code]);
                let done = python.output().expect("python3 runs");
                let err = String::from_utf8_lossy(&done.stderr);
                assert!(done.status.success(), "{code}\n{err}");
                print!("{}", String::from_utf8_lossy(&done.stdout));
            }
            other => panic!("a block of {other:?} in the chapter on Python"),
        }
    }
    if !lacking.contains(&"mine.npz") {
        let mean = |name| {
            let (_, _, x) = read_matrix_f32(&place.path(name)).expect("read");
            x.iter().sum::<f32>() / x.len() as f32
        };
        let (before, after) = (mean("x.npy"), mean("darker.npy"));
        assert!(after < 0.9 * before, "{after} after {before}");
    }
}

#[test]
fn a_run_goes_out_in_both_formats_and_is_drawn_and_scored_from_either() {
    let place = Place::new();
    place.train("run", &["--epochs", "1", "--set", "train.average=0.99"]);
    let said = place.ok(&["export", "run"]);
    assert!(said.contains("run/generator.npz"), "{said}");
    let said = place.ok(&["export", "run", "--format", "safetensors"]);
    assert!(said.contains("run/generator.safetensors"), "{said}");
    place.ok(&["import", "run/generator.safetensors", "--out", "back.npz"]);
    assert_eq!(
        place.bytes("back.npz"),
        place.bytes("run/generator.npz"),
        "there and back"
    );
    let score = place.ok(&["eval", "run", "--json"]);
    for file in ["back.npz", "run/generator.safetensors"] {
        place.ok(&["sample", "run", "-n", "5", "--out", "a.npy"]);
        place.ok(&["sample", file, "-n", "5", "--out", "b.npy"]);
        assert_eq!(place.bytes("a.npy"), place.bytes("b.npy"), "{file}");
        assert_eq!(place.ok(&["eval", file, "--json"]), score, "{file}");
    }
    place.ok(&["figure", "3", "run/generator.safetensors", "--out", "3.png"]);
    let said = place.ok(&["export", "run", "--to", "pytorch", "--net", "D"]);
    assert!(said.contains("run/D.safetensors"), "{said}");
}

#[test]
fn files_and_options_that_do_not_fit_are_refused() {
    let place = Place::new();
    let export = ["export", "--pretrained", "mnist", "--out"];
    let refused = |more: &[&str]| place.refused(&[&export[..], more].concat());
    assert!(refused(&["g.npy"]).contains(".npz or .safetensors"));
    let message = refused(&["g.npz", "--format", "safetensors"]);
    assert!(message.contains("ends in .safetensors"), "{message}");
    assert!(refused(&["g.npz", "--format", "onnx"]).contains("expected npz or safetensors"));
    place.ok(&[&export[..], &["g.safetensors", "--half"]].concat());

    let import = |file: &str, more: &[&str]| {
        place.refused(&[&["import", file, "--out", "out.npz"], more].concat())
    };
    let with_own = import("g.safetensors", &["--config", "mnist"]);
    assert!(with_own.contains("its own configuration"), "{with_own}");
    assert!(import("none.npz", &[]).contains("none.npz"));
    assert!(import("g.safetensors", &["--config", "minst"]).contains("mnist"));
    let bytes = place.bytes("g.safetensors");
    std::fs::write(place.path("cut.safetensors"), &bytes[..bytes.len() / 2]).expect("written");
    let cut = import("cut.safetensors", &[]);
    assert!(cut.contains("cut.safetensors: truncated"), "{cut}");
    std::fs::write(place.path("text.safetensors"), "no tensors in here").expect("written");
    let text = import("text.safetensors", &["--config", "mnist"]);
    assert!(text.contains("not a safetensors file"), "{text}");
    let message = place.refused(&["sample", "run", "--noise", "z.csv"]);
    assert!(message.contains(".npy, .npz"), "{message}");
}

#[test]
fn a_state_dict_becomes_a_generator_where_that_is_asked_for() {
    let place = Place::new();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/gan/tests/fixtures/");
    let model = format!("{fixtures}model.pt");
    let config = place.ok(&["presets", "show", "tiny"]);
    let config = config.replace("set = \"mnist\"", "set = \"./any.npy\"");
    let config = config.replacen("dim = 10", "dim = 3", 1);
    let config = config.replacen("units = 32", "units = 4", 1);
    let config = config.replacen("units = 784", "units = 2", 1);
    std::fs::write(place.path("small.toml"), config).expect("written");
    let import = ["import", &model, "--config", "small.toml", "--out", "g.npz"];
    let refused = place.refused(&import);
    assert!(
        refused.contains("`ganforge import --from pytorch` reads it"),
        "{refused}"
    );
    let done = place.run(&[&import[..], &["--from", "pytorch"]].concat());
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(
        done.err.contains("G.h0.w = 0.weight transposed"),
        "{}",
        done.err
    );
    // And back, equal to what came.
    let export = ["export", "g.npz", "--to", "pytorch"];
    let done = place.run(&[&export[..], &["--out", "back.npz"]].concat());
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.err.contains("h0.weight = G.h0.w"), "{}", done.err);
    let back = ["import", "back.npz", "--from", "pytorch", "--config"];
    place.ok(&[&back[..], &["small.toml", "--out", "again.npz"]].concat());
    assert_eq!(place.bytes("again.npz"), place.bytes("g.npz"));
    let refused = place.refused(&[&export[..], &["--net", "D"]].concat());
    assert!(refused.contains("has no discriminator"), "{refused}");
    assert!(
        place
            .refused(&["export", "g.npz", "--net", "D"])
            .contains("--to")
    );
    place.ok(&["sample", "g.npz", "-n", "4", "--out", "x.npy"]);
    let (n, d, _) = read_matrix_f32(&place.path("x.npy")).expect("read");
    assert_eq!((n, d), (4, 2));
    assert!(
        place
            .refused(&["import", &model, "--from", "pytorch", "--out", "g.npz"])
            .contains("--config")
    );
    assert!(
        place
            .refused(&[&import[..], &["--from", "jax"]].concat())
            .contains("pytorch")
    );
}
