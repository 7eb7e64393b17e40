//! `ganforge explain`: what is in the page, that one can walk through it, that it loads nothing.

use crate::browser::{Browser, assert_quiet, assert_self_contained, page_data};
use crate::common::Place;
use serde_json::Value;

const LEFT: char = '\u{E012}';
const RIGHT: char = '\u{E014}';
const END: char = '\u{E010}';
const ENTER: char = '\u{E007}';

const TINY: [&str; 4] = ["explain", "tiny", "--set", "train.batch=8"];

fn stops(data: &Value) -> &Vec<Value> {
    data["stops"].as_array().expect("a list")
}

#[test]
fn a_step_of_a_preset_and_of_a_run_have_their_pages() {
    let place = Place::new();
    assert_eq!(place.ok(&TINY), "tiny-step-0.html\n");
    let page = place.text("tiny-step-0.html");
    assert!(page.len() < 3 << 20, "{} bytes", page.len());
    assert_self_contained(&page);
    let first = page_data(&page);
    assert_eq!(
        (&first["name"], &first["step"]),
        (&"tiny".into(), &0.into())
    );
    let notes = |part: &str, op: &str| -> String {
        let is =
            |s: &&Value| s["part"] == part && first["nodes"][s["node"].to_string()]["op"] == op;
        let stop = stops(&first)
            .iter()
            .find(is)
            .unwrap_or_else(|| panic!("{op} in {part}"));
        stop["notes"].to_string()
    };
    assert!(notes("forward", "arg_max").contains("piece 0 "));
    assert!(
        notes("loss/d", "take")
            .contains("Each unit passes its whole gradient to the largest piece")
    );
    assert!(
        notes("loss/d", "mul").contains("Dropout: the gradient is multiplied by the same mask")
    );
    assert!(notes("loss/g", "sigmoid").contains("saturated"));
    assert!(notes("loss/g", "relu").contains("the gradient stops here"));
    let maxout = &first["ops"]["take"];
    assert!(
        maxout["doc"]
            .as_str()
            .expect("text")
            .contains("vjp:   dx = put(dy, i)")
    );
    assert_eq!(
        maxout["pages"],
        serde_json::json!(["ops/take.md", "maxout.md"])
    );
    for (name, text) in ganforge::book::PAGES {
        if first["pages"].get(name).is_some() {
            assert_eq!(first["pages"][name], *text);
        }
    }
    for name in ["ops/take.md", "maxout.md", "optimisers.md"] {
        assert!(first["pages"][name].is_string(), "{name}");
    }
    assert!(
        first["pages"].get("cuda.md").is_none(),
        "nothing that is not named"
    );

    // A run goes on where its checkpoint is, and an earlier step is reached from its start or not at all.
    place.train("run", &["--epochs", "1"]);
    assert_eq!(
        place.ok(&["explain", "run", "--out", "next.html"]),
        "next.html\n"
    );
    let next = page_data(&place.text("next.html"));
    assert_eq!(next["step"], 40);
    assert_ne!(next["facts"], first["facts"]);
    place.ok(&["explain", "run", "--step", "42", "--out", "later.html"]);
    assert_eq!(page_data(&place.text("later.html"))["step"], 42);
    let early = place.refused(&["explain", "run", "--step", "7"]);
    assert!(early.contains("has no checkpoint before step 7"), "{early}");
}

#[test]
fn one_walks_through_the_page_with_keys_and_mouse() {
    let place = Place::new();
    place.ok(&[&TINY[..], &["--out", "a.html"]].concat());
    let page = page_data(&place.text("a.html"));
    let Some(browser) = Browser::start() else {
        return;
    };
    browser.open(&place.path("a.html"));
    assert_quiet(&browser);
    let heading = || browser.text("document.querySelector('#stop h2').textContent");
    let position = || browser.text("document.querySelector('#position').textContent");
    let all = stops(&page).len();
    assert_eq!(position(), format!("1 of {all}"));
    let first = heading();
    browser.press(RIGHT);
    assert_eq!(position(), format!("2 of {all}"));
    browser.press(LEFT);
    browser.press(LEFT);
    assert_eq!(
        (heading(), position()),
        (first, format!("1 of {all}")),
        "there is none before"
    );
    browser.press(END);
    assert_eq!(position(), format!("{all} of {all}"));
    assert!(heading().starts_with("New value of "), "{}", heading());

    // Every stop can be shown, with a picture or a histogram of what it is about, and marks its place on the map.
    let broken = browser.text(
        "STOPS.map((s, i) => { go(i); const n = document.querySelectorAll('#stop .value').length; \
           const m = s.part === 'update' || document.querySelectorAll('.map g.here').length === 1; \
           const known = s.part !== 'update' && DATA.nodes[s.node].scope === 'monitor'; \
           return n > 0 && (m || known) ? '' : `${i} ${s.part} ${s.node}: ${n} ${m}`; }).filter((t) => t).join('; ')",
    );
    assert_eq!(broken, "");
    assert_eq!((browser.console(), browser.requests()), (vec![], vec![]));

    // Search, and go to the first that is found.
    browser.press('/');
    for c in "gradient sigmoid".chars() {
        browser.press(c);
    }
    browser.press(ENTER);
    assert_eq!(heading(), "Gradient of sigmoid");
    assert!(
        browser
            .text("document.querySelector('#stop').textContent")
            .contains("saturated")
    );
    assert_eq!(
        browser.eval("document.querySelector('.wanted').textContent.startsWith('vjp:')"),
        true
    );

    // Images of the data's size are shown as such: the first stop with one has ten of 28 by 28.
    let x = stops(&page)
        .iter()
        .position(|s| page["nodes"][s["node"].to_string()]["label"] == "x");
    browser.eval(&format!("go({})", x.expect("the data are a stop")));
    let sizes = "[...document.querySelectorAll('#stop .images canvas')].map((c) => `${c.width}x${c.height}`).join()";
    assert_eq!(browser.text(sizes), ["28x28"; 8].join(","));

    // The mouse: a label leads to where its value is made, a box of the map to its stop, a derivation unfolds.
    let wanted = stops(&page)
        .iter()
        .position(|s| s["part"] == "loss/d" && !s["lines"].as_array().expect("a list").is_empty());
    browser.eval(&format!("go({})", wanted.expect("a chain rule")));
    let before = position();
    browser.click(".lines a");
    assert_ne!(position(), before);
    browser.click(".map g[data-loss='loss/g']");
    assert!(
        browser
            .text("document.querySelector('#stop .part').textContent")
            .contains("G's loss")
    );
    browser.eval("go(STOPS.findIndex((s) => DATA.nodes[s.node].op === 'take'))");
    browser.click("#stop .doc summary");
    browser.wait_for("document.querySelector('.chapter h4')?.textContent.startsWith('take: ')");
    assert_eq!(
        browser.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth"),
        0,
        "no sideways scrolling"
    );
    assert_eq!((browser.console(), browser.requests()), (vec![], vec![]));
}

#[test]
fn the_tour_and_the_map_have_keys_and_buttons() {
    let place = Place::new();
    place.ok(&[&TINY[..], &["--out", "a.html"]].concat());
    let page = page_data(&place.text("a.html"));
    let Some(browser) = Browser::start() else {
        return;
    };
    browser.open(&place.path("a.html"));
    assert_quiet(&browser);
    let here = || browser.eval("here").as_u64().expect("a number");
    let tour = page["tour"].as_array().expect("a list").iter();
    let tour: Vec<u64> = tour
        .map(|t| t["stop"].as_u64().expect("a number"))
        .collect();
    browser.eval("go(STOPS.length - 1)");
    browser.click("#start-tour");
    assert_eq!(here(), tour[0]);
    for (i, stop) in tour.iter().enumerate().skip(1) {
        match i % 2 {
            0 => browser.press('t'),
            _ => browser.click(".tour .controls button:last-child"),
        };
        assert_eq!(here(), *stop, "{i}");
        let said = browser.text("document.querySelector('.tour p').textContent");
        assert_eq!(said, page["tour"][i]["why"].as_str().expect("text"));
    }
    browser.press('t');
    assert_eq!(here(), tour[tour.len() - 1], "there is none after");
    browser.press('T');
    assert_eq!(here(), tour[tour.len() - 2]);

    // The losses are called that.
    for player in ["D", "G"] {
        browser.eval(&format!(
            "go(STOPS.findIndex((s) => title(s) === \"{player}'s loss\"))"
        ));
        let equation = browser.text("document.querySelector('.equation').textContent");
        assert!(
            equation.starts_with(&format!("L_{player} = ")),
            "{equation}"
        );
        assert!(
            page["map"]
                .as_str()
                .expect("text")
                .contains(&format!("{player}&#39;s loss: "))
        );
    }

    let width = || {
        browser
            .eval("drawing().getBoundingClientRect().width")
            .as_f64()
            .expect("a width")
    };
    let before = width();
    browser.press('+');
    browser.press('+');
    assert!((width() / before - 2.25).abs() < 0.01, "{}", width());
    browser.click(".tools button:first-child");
    assert!((width() / before - 1.5).abs() < 0.01, "{}", width());
    browser.press('0');
    let frame = browser.eval("map.clientWidth").as_f64().expect("a width");
    assert!((width() - frame).abs() < 1.0, "{} {frame}", width());

    // Ctrl and the wheel zoom at the mouse; a drag moves the map, and the click that it ends in is none.
    browser.eval(
        "map.dispatchEvent(new WheelEvent('wheel', { deltaY: -600, ctrlKey: true, cancelable: true, clientX: 500, clientY: 300 }))",
    );
    assert!(width() > 5.0 * frame, "{}", width());
    let stop = here();
    let moved = browser.eval(
        "(() => { const mouse = { pointerType: 'mouse', button: 0, bubbles: true }; \
           const before = [map.scrollLeft, map.scrollTop]; \
           const send = (kind, x, y) => map.dispatchEvent(new PointerEvent(kind, { ...mouse, clientX: x, clientY: y })); \
           send('pointerdown', 500, 300); send('pointermove', 430, 280); send('pointerup', 430, 280); \
           map.querySelector('g[data-nodes]').dispatchEvent(new MouseEvent('click', { bubbles: true })); \
           return [map.scrollLeft - before[0], map.scrollTop - before[1]]; })()",
    );
    assert_eq!((moved[0].as_f64(), here()), (Some(70.0), stop), "{moved}");
    browser.eval("map.querySelector('g[data-nodes]').dispatchEvent(new MouseEvent('click', { bubbles: true }))");
    assert_ne!(here(), stop, "a click by itself goes to a stop");

    // The map is white paper by day, and as dark as the page at night.
    let filter = || browser.text("getComputedStyle(drawing()).filter");
    assert_eq!(filter(), "none");
    browser.go_dark();
    assert!(filter().starts_with("invert("), "{}", filter());
    assert_eq!((browser.console(), browser.requests()), (vec![], vec![]));
}

#[test]
fn points_of_toy_sets_are_plotted_where_they_are() {
    let place = Place::new();
    for preset in ["ring", "fig1"] {
        let file = format!("{preset}.html");
        place.ok(&["explain", preset, "--set", "train.batch=16", "--out", &file]);
        let Some(browser) = Browser::start() else {
            return;
        };
        browser.open(&place.path(&file));
        assert_quiet(&browser);
        // At every stop that shows points there is a plot, and not all of it is of one colour.
        let plots = "STOPS.map((s, i) => { go(i, false); return [...document.querySelectorAll('#stop canvas.plot')]; }).flat()";
        let colours = format!(
            "{plots}.map((c) => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size)"
        );
        let colours = browser.eval(&colours);
        let colours: Vec<u64> = colours
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_u64)
            .collect();
        assert!(
            colours.len() > 4 && colours.iter().all(|n| *n > 3),
            "{preset}: {colours:?}"
        );
        browser.eval("go(STOPS.findIndex((s) => s.part === 'loss/g' && document.querySelector('#stop') && s.gradients.some(([, g]) => DATA.values[g].picture?.gradient)))");
        let said = browser.text(
            "[...document.querySelectorAll('#stop figcaption')].map((f) => f.textContent).join()",
        );
        assert!(
            said.contains("arrows: −dL/dx, the descent direction"),
            "{preset}: {said}"
        );
        assert_eq!((browser.console(), browser.requests()), (vec![], vec![]));
    }
}

#[test]
fn of_images_one_sees_maps_filters_and_what_a_pixel_is_made_of() {
    let place = Place::new();
    let command = ["explain", "dcgan28", "--set", "train.batch=4", "--example"];
    let early = place.refused(&[&command[..], &["4"]].concat());
    assert!(
        early.contains("example 4: the minibatches of this model have examples 0 to 3"),
        "{early}"
    );
    place.ok(&[&command[..], &["2", "--out", "a.html"]].concat());
    let text = place.text("a.html");
    assert!(text.len() < 4 << 20, "{} bytes", text.len());
    let page = page_data(&text);
    let maps = |v: &Value| {
        v["picture"]["what"]
            .as_str()
            .is_some_and(|w| w.starts_with("example 2: "))
    };
    assert!(
        page["values"]
            .as_object()
            .expect("a map")
            .values()
            .filter(|v| maps(v))
            .count()
            > 50
    );

    let Some(browser) = Browser::start() else {
        return;
    };
    browser.open(&place.path("a.html"));
    assert_quiet(&browser);
    let go = |part: &str, layer: &str, op: &str| {
        browser.eval(&format!(
            "go(STOPS.findIndex((s) => s.part === '{part}' && DATA.nodes[s.node].scope === '{layer}' && DATA.nodes[s.node].op === '{op}'))"
        ));
    };
    let choose = |name: &str, n: usize| {
        browser.eval(&format!(
            "(() => {{ const e = document.querySelector('#stop .pixel input[aria-label^={name}]'); e.value = {n}; e.dispatchEvent(new Event('input')); }})()"
        ));
    };
    let said = |nth: usize| {
        browser.text(&format!(
            "document.querySelectorAll('#stop .sees')[{nth}].textContent"
        ))
    };
    // Two convolutions of 4 x 4, stride 2, pad 1: 10 pixels, every 4, from -3 on.
    go("forward", "D/h1", "conv2d");
    choose("row", 0);
    choose("column", 6);
    let sees = said(0);
    assert!(
        sees.starts_with("Row 0, column 6 sees rows 0 to 6, columns 21 to 27 of "),
        "{sees}"
    );
    assert!(
        sees.ends_with(": 7 × 7 of 28 × 28 pixels, all channels."),
        "{sees}"
    );
    let drawn = browser.text(
        "[...document.querySelectorAll('#stop .seen rect')].map((r) => ['x', 'y', 'width', 'height'].map((a) => r.getAttribute(a)).join()).join(' ')",
    );
    assert_eq!(drawn, "21,0,7,7");
    browser.eval(
        "document.querySelectorAll('#stop .seen details').forEach((d) => { d.open = true; })",
    );
    browser.wait_for("document.querySelector('#stop .windows li') !== null");
    let ways = browser.text("document.querySelector('#stop .windows ol').textContent");
    assert!(
        ways.contains(
            "D/h1 conv2d, kernel 4, stride 2, pad 1: 7 × 7 pixels; sees 10, moves by 4, first −3"
        ),
        "{ways}"
    );

    // A click chooses a pixel, too: in the last map of the first row the one at the lower right.
    let click = "(() => { const c = document.querySelector('#stop .picked canvas'); const f = c.getBoundingClientRect(); \
                 c.dispatchEvent(new MouseEvent('click', { bubbles: true, clientX: f.left + f.width * (62.5 / c.width), clientY: f.top + f.height * (6.5 / c.height) })); \
                 return [...document.querySelectorAll('#stop .pixel input')].map((i) => i.value).join(); })()";
    assert_eq!(browser.text(click), "6,6,7");
    // An arrow key in a number is no step of the walk.
    let before = browser.eval("here");
    browser.eval("document.querySelector('#stop .pixel input').focus()");
    browser.press(RIGHT);
    assert_eq!(browser.eval("here"), before);
    browser.eval("document.activeElement.blur()");

    // What G's maps get of a gradient comes through the samples, and before that through D's last map.
    go("loss/g", "G/h1", "relu");
    choose("row", 7);
    choose("column", 0);
    assert!(
        said(0).starts_with(
            "Row 7, column 0 gets its gradient through rows 13 to 16, columns 0 to 2 of "
        ),
        "{}",
        said(0)
    );
    assert!(said(1).contains(" of 7 × 7 pixels"), "{}", said(1));

    // Filters, and every stop, without a fault.
    go("forward", "D/h0", "conv2d");
    let filters = browser.text(
        "[...document.querySelectorAll('#stop figcaption')].map((f) => f.textContent).join()",
    );
    assert!(
        filters.contains("w[:, :, :, k] for k = 0 to 63 from left to right"),
        "{filters}"
    );
    browser.eval("STOPS.forEach((_, i) => go(i, false))");
    assert_eq!(
        browser.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth"),
        0,
        "no sideways scrolling"
    );
    assert_eq!((browser.console(), browser.requests()), (vec![], vec![]));
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let place = Place::new();
    assert!(
        place
            .refused(&["explain", "tinny"])
            .contains("did you mean tiny?")
    );
    assert!(
        place
            .refused(&["explain", "tiny", "--step", "two"])
            .contains("--step")
    );
    std::fs::create_dir(place.path("empty")).expect("made");
    assert!(
        place
            .refused(&["explain", "empty"])
            .contains("is not a run")
    );
    assert!(
        place
            .refused(&[&TINY[..], &["--out", "page.txt"]].concat())
            .contains("expected a name that ends in .html, .htm")
    );
    assert!(
        place
            .refused(&[&TINY[..], &["--out", "no/where.html"]].concat())
            .contains("where.html")
    );
    place.train("run", &["--epochs", "1"]);
    assert!(
        place
            .refused(&["explain", "run", "--set", "seed=2"])
            .contains("--set")
    );
}
