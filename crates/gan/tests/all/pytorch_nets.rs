//! Convolutional nets to and from PyTorch: equal outputs, equal tensors. The files are made by fixtures/make_conv_nets.py.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ganforge_gan::config::Config;
use ganforge_gan::critic::Critic;
use ganforge_gan::files::{ArrayData, ArrayRef, read_npz, write_npz};
use ganforge_gan::generator::Generator;
use ganforge_gan::pytorch::{export, import};
use ganforge_tensor::Store;

/// Dense to an image, both convolutions, a block; D with a dense layer after the image.
const IMAGES: &str = "
data.set = 'mine.npz'
noise.dim = 5
generator.layer = [
    { name = 'h0', shape = [3, 2, 4], norm = 'batch' },
    { name = 'h1', kind = 'deconv2d', channels = 3, kernel = 4, stride = 2, padding = 1, norm = 'batch', activation = 'prelu' },
    { name = 'h2', kind = 'conv2d', channels = 5, norm = 'instance', transform = 'spectral_norm' },
    { name = 'h3', kind = 'deconv2d', channels = 6, kernel = 2, padding = 0, transform = 'spectral_norm' },
    { name = 'b0', kind = 'block', channels = 4, resize = 'up', norm = 'batch' },
    { name = 'out', kind = 'conv2d', channels = 2, activation = 'tanh' },
]
discriminator.layer = [
    { name = 'h0', kind = 'conv2d', channels = 4, kernel = 4, stride = 2, padding = 1, norm = 'layer', transform = 'spectral_norm', activation = 'leaky_relu' },
    { name = 'h1', kind = 'conv2d', channels = 3, stride = 2, padding = 1, transform = 'weight_norm', activation = 'leaky_relu' },
    { name = 'flat', kind = 'flatten' },
    { name = 'norm', kind = 'batch_norm' },
    { name = 'h2', units = 7, norm = 'batch', transform = 'weight_norm', activation = 'leaky_relu' },
    { name = 'out', units = 1, activation = 'linear', transform = 'spectral_norm' },
]
";

/// Vectors that become an image later on, and an image that a dense layer takes as it is.
const VECTORS: &str = "
data.set = 'mine.npz'
noise.dim = 5
generator.layer = [
    { name = 'h0', units = 24, norm = 'batch', activation = 'prelu' },
    { name = 'image', kind = 'reshape', shape = [3, 2, 4] },
    { name = 'h1', kind = 'conv2d', channels = 5, kernel = 2, padding = 'valid' },
    { name = 'h2', units = 3 },
    { name = 'out', units = 2, activation = 'linear' },
]
";

/// The nets: a file of torch.save, a configuration, which of its networks.
const NETS: [(&str, &str, &str); 3] = [
    ("conv_g", IMAGES, "G"),
    ("conv_d", IMAGES, "D"),
    ("dense_g", VECTORS, "G"),
];

fn config(text: &str) -> Config {
    Config::from_toml(text, "nets.toml").unwrap_or_else(|e| panic!("{e}"))
}

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(name)
}

/// Arrays by name: their shapes and values.
type Arrays = HashMap<String, (Vec<usize>, Vec<f32>)>;

/// Arrays of an npz.
fn arrays(path: &Path) -> Arrays {
    let arrays = read_npz(path).expect("read").into_iter();
    let all = arrays.map(|(name, array)| match array.data {
        ArrayData::F32(values) => (name, (array.shape, values)),
        other => panic!("{name} is {}", other.dtype()),
    });
    all.collect()
}

fn assert_near(what: &str, found: &[f32], expected: &[f32], bound: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs();
        assert!(error <= bound, "{what}: {found}, expected {expected}");
    }
}

/// What the network of a file makes of the script's noise or images.
fn outputs(path: &Path, text: &str, net: &str) -> Vec<f32> {
    let (config, made) = (config(text), arrays(&fixture("conv_nets.npz")));
    match net {
        "G" => {
            let (mut generator, _) =
                Generator::import_from_pytorch(path, &config).unwrap_or_else(|e| panic!("{e}"));
            generator.decode(&made["z"].1).expect("decoded")
        }
        _ => {
            let (mut store, _) = import(path, &config, "D").unwrap_or_else(|e| panic!("{e}"));
            let mut critic = Critic::new(&config).expect("recorded");
            critic.of(&mut store, &made["x"].1).expect("judged")
        }
    }
}

#[test]
fn nets_of_pytorch_compute_here_what_they_compute_there() {
    let made = arrays(&fixture("conv_nets.npz"));
    for (name, text, net) in NETS {
        let found = outputs(&fixture(&format!("{name}.pt")), text, net);
        assert_near(name, &found, &made[name].1, 1e-5);
    }
}

#[test]
fn what_is_exported_is_the_state_dict_and_computes_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = arrays(&fixture("conv_nets.npz"));
    for (name, text, net) in NETS {
        let config = config(text);
        let (store, _) = import(&fixture(&format!("{name}.pt")), &config, net).expect("read");
        let path = folder.path().join(format!("{name}.npz"));
        let said = export(&path, &config, &store, net).expect("written");
        let mut exported = arrays(&path);
        assert_eq!(said.len(), store.iter().count());
        for (full, (shape, values)) in &made {
            let Some(key) = full.strip_prefix(&format!("{name}/")) else {
                continue;
            };
            let key = key.replace("h2.1.", "h2."); // of a Sequential with its Flatten
            let (found, array) = exported.remove(&key).unwrap_or_else(|| panic!("{key}"));
            assert_eq!(&found, shape, "{key}");
            // u and v had come to rest when they were written, to rounding.
            let bound = if key.contains("._") { 1e-5 } else { 0.0 };
            assert_near(&key, &array, values, bound);
        }
        let left: Vec<&String> = exported.keys().collect();
        assert!(left.is_empty(), "{left:?}");
        let found = outputs(&path, text, net);
        assert_near(name, &found, &made[name].1, 1e-5);
    }
}

/// A state of the wrong size for a layer, one that is not there, one too many.
#[test]
fn what_does_not_fit_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("d.npz");
    let config = config(IMAGES);
    let (store, _): (Store, _) = import(&fixture("conv_d.pt"), &config, "D").expect("read");
    export(&path, &config, &store, "D").expect("written");
    let good = arrays(&path);
    let refused = |change: &dyn Fn(&mut Arrays)| {
        let mut state = good.clone();
        change(&mut state);
        let all = state.iter();
        let all = all.map(|(n, (shape, values))| (n.clone(), ArrayRef::f32(shape, values)));
        write_npz(&path, all).expect("written");
        let error = import(&path, &config, "D").expect_err("refused");
        error.to_string()
    };
    let message = refused(&|s| drop(s.remove("norm.running_var")));
    assert!(
        message.contains("norm has no running_var [36], which norm needs"),
        "{message}"
    );
    let message = refused(&|s| {
        s.remove("h0.parametrizations.weight.0._v");
    });
    assert!(
        message.contains("h0 has no v [32], which h0 needs"),
        "{message}"
    );
    let message = refused(&|s| {
        s.insert("more.weight".into(), (vec![3], vec![0.0; 3]));
    });
    assert!(
        message.contains("more.weight [3] belongs to no layer"),
        "{message}"
    );
    let message = refused(&|s| {
        s.insert("h2.bias".into(), (vec![8], vec![0.0; 8]));
    });
    assert!(
        message.contains("h2.bias [8] belongs to no layer"),
        "{message}"
    );
    // Without a bias it is 0, as PyTorch's bias = False.
    let mut state = good.clone();
    state.remove("h2.bias");
    let all = state.iter();
    let all = all.map(|(n, (shape, values))| (n.clone(), ArrayRef::f32(shape, values)));
    write_npz(&path, all).expect("written");
    let (store, said) = import(&path, &config, "D").expect("read");
    assert_eq!(store.get("D.h2.b").expect("there").data, [0.0; 7]);
    assert!(said.contains(&"D.h2.b = 0".to_string()), "{said:?}");
    let flattened = "D.norm.var = norm.running_var from [c, h, w] to [h, w, c]";
    assert!(said.contains(&flattened.to_string()), "{said:?}");
}

#[test]
fn images_of_values_in_another_order_are_refused() {
    let text = VECTORS.replace(
        "{ name = 'h2', units = 3 },",
        "{ name = 'again', kind = 'reshape', shape = [1, 5, 2] }, { name = 'h2', units = 3 },",
    );
    let error = import(&fixture("dense_g.pt"), &config(&text), "G").err();
    let message = error.expect("refused").to_string();
    assert!(
        message
            .contains("layer again of the configuration makes images of values in another order"),
        "{message}"
    );
}
