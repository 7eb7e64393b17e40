use super::*;
use ganforge_data::RING;

/// Columns and rows from the first to the last pixel of a colour.
fn extent(image: &Picture, colour: Rgb) -> [[usize; 2]; 2] {
    let ImageSize { height, width, .. } = image.size();
    let all = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let mut found = [[usize::MAX, 0]; 2];
    for (x, y) in all.filter(|(x, y)| image.pixel(*x, *y) == colour) {
        for (range, at) in found.iter_mut().zip([x, y]) {
            *range = [range[0].min(at), range[1].max(at)];
        }
    }
    found
}

fn plot(panel: Panel) -> Plot {
    Plot {
        panel_size: [500, 300],
        columns: 1,
        panels: vec![panel],
    }
}

#[test]
fn points_stand_where_the_axes_say() {
    let cross = [[0.0, 0.0], [1.0, 1.0], [0.5, 0.25]];
    let panel = Panel {
        x: Axis::hidden([0.0, 1.0]),
        y: Axis::hidden([0.0, 1.0]),
        marks: vec![
            Mark::dots(cross, 4.0, RED, ""),
            Mark::line([[0.5, 0.5], [9.0, 0.5]], Stroke::Solid, BLUE, ""),
        ],
        ..Panel::default()
    };
    let image = plot(panel).image().unwrap();
    // 10 pixels of margin on each side.
    let [x, y] = extent(&image, RED);
    assert!(x[0].abs_diff(10) <= 4 && x[1].abs_diff(489) <= 4, "{x:?}");
    assert!(y[0].abs_diff(10) <= 4 && y[1].abs_diff(289) <= 4, "{y:?}");
    assert_eq!(image.pixel(250, 219), RED); // a quarter up
    let [x, y] = extent(&image, BLUE);
    assert!(x[0].abs_diff(250) <= 1 && x[1].abs_diff(489) <= 1, "{x:?}");
    assert!(y[0].abs_diff(150) <= 2 && y[1].abs_diff(150) <= 2, "{y:?}");
}

#[test]
fn cells_fill_their_rectangles_as_far_as_the_axes_reach() {
    let panel = Panel {
        x: Axis::hidden([0.0, 480.0]),
        y: Axis::hidden([0.0, 280.0]),
        marks: vec![
            Mark::cell([100.0, 40.0], [50.0, 20.0], BLUE),
            Mark::cell([400.0, -100.0], [300.0, 120.0], RED),
            Mark::text([10.0, 200.0], "words"),
        ],
        ..Panel::default()
    };
    let image = plot(panel).image().unwrap();
    for (colour, expected) in [
        (BLUE, [[110, 160], [230, 250]]),
        (RED, [[410, 490], [270, 290]]),
    ] {
        let found = extent(&image, colour);
        let pairs = found.iter().flatten().zip(expected.iter().flatten());
        assert!(
            pairs.into_iter().all(|(a, b)| a.abs_diff(*b) <= 2),
            "{found:?}"
        );
        let [[left, right], [top, bottom]] = found;
        for (x, y) in (left..=right).flat_map(|x| (top..=bottom).map(move |y| (x, y))) {
            assert_eq!(image.pixel(x, y), colour, "{x}, {y}");
        }
    }
    // Words begin at their point and stand around its height.
    let is_dark = |x: usize, y: &usize| image.pixel(x, *y)[0] < 128;
    let columns = (0..110).map(|x| (0..200).filter(|y| is_dark(x, y)).collect());
    let columns: Vec<Vec<usize>> = columns.collect();
    let first = columns.iter().position(|c| !c.is_empty()).unwrap();
    assert!(first.abs_diff(20) <= 3, "{first}");
    assert!(
        columns.concat().iter().all(|y| y.abs_diff(90) <= 9),
        "{columns:?}"
    );
}

#[test]
fn a_ring_is_round_where_units_are_equal() {
    let ring = RING.mixture();
    let centres = ring.centres.chunks_exact(2).map(|c| [c[0], c[1]]);
    let panel = Panel {
        x: Axis::new("x", [-3.0, 3.0]),
        y: Axis::new("y", [-3.0, 3.0]),
        marks: vec![Mark::dots(centres, 3.0, GREEN, "")],
        is_round: true,
        ..Panel::default()
    };
    let [x, y] = extent(&plot(panel).image().unwrap(), GREEN);
    let (width, height) = (x[1] - x[0], y[1] - y[0]);
    assert!(width.abs_diff(height) <= 1 && width > 100, "{x:?} {y:?}");
}

#[test]
fn png_and_svg_show_the_same() {
    let panel = Panel {
        title: "D* and <p_g>".into(),
        x: Axis::new("x", [0.0, 8.0]),
        y: Axis::new("density", [0.0, 1.0]),
        marks: vec![
            Mark::line([[0.0, 0.5], [8.0, 0.5]], Stroke::Dashed, BLUE, "D"),
            Mark::Arrow {
                from: [1.0, 0.0],
                to: [4.0, 0.4],
                colour: BLACK,
            },
        ],
        ..Panel::default()
    };
    let plot = plot(panel);
    let svg = plot.svg().unwrap();
    let start = "<svg width=\"500\" height=\"300\" viewBox=\"0 0 1500 900\"";
    assert!(svg.starts_with(start), "{}", &svg[..100]);
    for part in ["D* and &lt;p_g&gt;", "density", "polygon", "#1F57BA"] {
        assert!(svg.contains(part), "{part}");
    }
    let folder = tempfile::tempdir().unwrap();
    plot.save(&folder.path().join("p")).unwrap();
    let png = std::fs::read(folder.path().join("p.png")).unwrap();
    let png = Picture::decode(&png).unwrap().picture;
    assert_eq!(png, plot.image().unwrap());
    let written = std::fs::read_to_string(folder.path().join("p.svg")).unwrap();
    assert_eq!(written, svg);
}

#[test]
fn panels_stand_in_rows() {
    let mut plot = plot(Panel::default());
    plot.panels.resize(3, Panel::default());
    plot.columns = 2;
    assert_eq!(plot.size(), [1000, 600]);
}

#[test]
fn an_animation_has_a_frame_for_each_plot() {
    let dot = |x: f64| {
        plot(Panel {
            x: Axis::hidden([0.0, 1.0]),
            y: Axis::hidden([0.0, 1.0]),
            marks: vec![Mark::dots([[x, 0.5]], 9.0, RED, "")],
            ..Panel::default()
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gif");
    let time = Duration::from_millis(200);
    animate(
        &[(dot(0.0), time), (dot(0.5), time), (dot(1.0), time)],
        &path,
    )
    .unwrap();
    let file = std::fs::File::open(path).unwrap();
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut gif = options.read_info(file).unwrap();
    for x in [10, 250, 489] {
        let frame = gif.read_next_frame().unwrap().unwrap();
        assert_eq!(frame.delay, 20);
        let red = &frame.buffer[4 * (150 * 500 + x)..][..3];
        assert!(red[0] > 150 && red[1] < 90, "{red:?}");
    }
    assert!(gif.read_next_frame().unwrap().is_none());
}

#[test]
fn words_cannot_leave_their_place_in_a_plot() {
    let nasty = "a<b>&\"c'</text><script>";
    let panel = Panel {
        title: nasty.into(),
        x: Axis::new(nasty, [0.0, 1.0]),
        y: Axis::new(nasty, [0.0, 1.0]),
        marks: vec![
            Mark::dots([[0.5, 0.5]], 9.0, RED, nasty),
            Mark::Text {
                at: [0.5, 0.5],
                is_centred: true,
                text: nasty.into(),
                colour: RED,
            },
        ],
        ..Panel::default()
    };
    let svg = plot(panel).svg().unwrap();
    testkit::assert_well_formed(&svg);
    assert!(!svg.contains("<script>"));
    assert_eq!(svg.matches("a&lt;b&gt;&amp;").count(), 5, "{svg}");
}

#[test]
fn a_logarithmic_axis_has_powers_of_ten() {
    let panel = Panel {
        x: Axis::powers("steps", [0.0, 3.0]),
        y: Axis::powers("norm", [-6.0, 0.0]),
        marks: vec![Mark::dots([[1.0, -4.0]], 3.0, RED, "")],
        ..Panel::default()
    };
    let svg = plot(panel).svg().unwrap();
    for number in ["\n1\n", "\n10\n", "\n1000\n", "\n1e−6\n", "\n0.01\n"] {
        assert!(svg.contains(number), "{number:?}");
    }
    assert!(!svg.contains("\n0.5\n") && !svg.contains("e0"), "{svg}");
}

#[test]
fn names_stand_beside_their_places_upright_where_there_is_no_room() {
    let named = |names: &[&str]| Axis::named("key", names.iter().map(|n| n.to_string()));
    let panel = |x: Axis, y: Axis| Panel {
        x,
        y,
        marks: heat([2, 3], |i, j| (i != j).then_some(0.5 * i as f64)),
        ..Panel::default()
    };
    let short = plot(panel(named(&["left", "right"]), named(&["a", "b", "c"])));
    let svg = short.svg().unwrap();
    testkit::assert_well_formed(&svg);
    for name in ["left", "right", "a", "b", "c"] {
        assert!(svg.contains(&format!("\n{name}\n")), "{name}");
    }
    // The label of y alone is turned.
    assert_eq!(svg.matches("rotate(").count(), 1);
    assert!(!svg.contains("\n0.5\n"), "no numbers");
    let long = [
        "a name that has no room",
        "another, as long as it",
        "and a third one of them",
    ];
    let long = plot(panel(named(&long), named(&["a", "b", "c"])));
    let long = long.svg().unwrap();
    assert_eq!(long.matches("rotate(").count(), 4);
    // Cells: the lower, the stronger; where nothing is known, nothing is drawn.
    let image = short.image().unwrap();
    for (value, is_there) in [(0.0, true), (0.5, true), (0.25, false)] {
        let [x, _] = extent(&image, shade(value));
        assert_eq!(x[0] < 500, is_there, "{value}: {x:?}");
    }
    let [strong, faint] = [0.0, 0.5].map(|v| extent(&image, shade(v))[0]);
    assert!(strong[1] < faint[0] + 3, "{strong:?} {faint:?}");
}

#[test]
fn a_box_plot_has_its_box_between_the_quartiles() {
    let boxed = Boxed {
        quartiles: [100.0, 150.0, 300.0],
        whiskers: [50.0, 400.0],
        beyond: &[450.0],
    };
    let panel = Panel {
        x: Axis::hidden([0.0, 480.0]),
        y: Axis::hidden([0.0, 280.0]),
        marks: boxed.marks(140.0, 100.0, BLUE),
        ..Panel::default()
    };
    let image = plot(panel).image().unwrap();
    let inside = [177, 196, 231]; // 35 % of BLUE on white
    assert_eq!([120, 300].map(|x| image.pixel(x, 150)), [inside; 2]);
    let near = |found: [usize; 2], expected: [usize; 2]| {
        assert!(
            found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 2),
            "{found:?}"
        );
    };
    let [x, y] = extent(&image, inside);
    near(x, [111, 309]);
    near(y, [101, 199]);
    let [x, y] = extent(&image, BLACK);
    near(x, [159, 161]);
    near(y, [100, 200]);
    let [x, _] = extent(&image, GREY);
    near(x, [60, 462]);
}
