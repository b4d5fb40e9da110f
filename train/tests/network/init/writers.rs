//! The containers: HDF5, safetensors, and `torch.save`'s zip of a pickle.

use std::collections::BTreeMap;
use std::path::Path;

use hdf5_pure::{AttrValue, FileBuilder};
use safetensors::tensor::{Dtype, TensorView};

pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// Writes groups within groups with hdf5-pure.
pub(crate) fn write_h5(path: &Path, tensors: &[Named], config: Option<&str>) {
    #[derive(Default)]
    struct Node<'a> {
        groups: BTreeMap<&'a str, Node<'a>>,
        datasets: Vec<(&'a str, &'a Named)>,
    }
    let mut root = Node::default();
    for tensor in tensors {
        let mut node = &mut root;
        let parts: Vec<&str> = tensor.name.split('/').collect();
        let (last, groups) = parts.split_last().unwrap();
        for group in groups {
            node = node.groups.entry(group).or_default();
        }
        node.datasets.push((last, tensor));
    }
    fn group(mut builder: hdf5_pure::GroupBuilder, node: &Node<'_>) -> hdf5_pure::FinishedGroup {
        for (name, tensor) in &node.datasets {
            let shape: Vec<u64> = tensor.shape.iter().map(|side| *side as u64).collect();
            builder.create_dataset(name).with_f32_data(&tensor.values).with_shape(&shape);
        }
        for (name, node) in &node.groups {
            let inner = group(builder.create_group(name), node);
            builder.add_group(inner);
        }
        if node.groups.contains_key("efficientnetb3") {
            let order = ["efficientnetb3", "batch_normalization", "dense", "dropout", "dense_1"];
            let order = order.map(str::to_owned).to_vec();
            builder.set_attr("layer_names", AttrValue::AsciiStringArray(order));
        }
        builder.finish()
    }
    let mut file = FileBuilder::new();
    for (name, node) in &root.groups {
        let finished = group(file.create_group(name), node);
        file.add_group(finished);
    }
    if let Some(config) = config {
        file.set_attr("model_config", AttrValue::VarLenString(config.to_owned()));
    }
    file.write(path).unwrap();
}

pub(crate) fn write_safetensors(path: &Path, tensors: &[Named], metadata: &[(&str, &str)]) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let mut views: Vec<(String, TensorView<'_>)> = tensors
        .iter()
        .zip(&bytes)
        .map(|(tensor, bytes)| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).unwrap();
            (tensor.name.clone(), view)
        })
        .collect();
    // PyTorch counts the batches of every norm, in 64 bits.
    let counter = 7_i64.to_le_bytes();
    for tensor in tensors.iter().filter(|tensor| tensor.name.ends_with("running_var")) {
        let name = tensor.name.replace("running_var", "num_batches_tracked");
        views.push((name, TensorView::new(Dtype::I64, vec![], &counter).unwrap()));
    }
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let bytes = safetensors::serialize(views, Some(metadata.collect())).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// `torch.save` of a dict since PyTorch 1.6: a zip of a pickle and one entry a storage.
pub(crate) fn write_pth(path: &Path, tensors: &[Named]) {
    fn text(pickle: &mut Vec<u8>, text: &str) {
        pickle.push(b'X');
        pickle.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        pickle.extend(text.as_bytes());
    }
    fn integer(pickle: &mut Vec<u8>, number: usize) {
        pickle.push(b'J');
        pickle.extend(i32::try_from(number).unwrap().to_le_bytes());
    }
    let mut pickle = vec![0x80, 2, b'}', b'('];
    for (key, tensor) in tensors.iter().enumerate() {
        text(&mut pickle, &tensor.name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend(b"ctorch\nFloatStorage\n");
        text(&mut pickle, &key.to_string());
        text(&mut pickle, "cpu");
        integer(&mut pickle, tensor.values.len());
        pickle.extend(b"tQ");
        integer(&mut pickle, 0);
        pickle.push(b'(');
        tensor.shape.iter().for_each(|side| integer(&mut pickle, *side));
        pickle.extend(b"t(");
        for axis in 0..tensor.shape.len() {
            integer(&mut pickle, tensor.shape[axis + 1..].iter().product());
        }
        pickle.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"u.");
    let mut entries =
        vec![("data.pkl".to_owned(), pickle), ("byteorder".to_owned(), b"little".to_vec())];
    for (key, tensor) in tensors.iter().enumerate() {
        let bytes = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        entries.push((format!("data/{key}"), bytes));
    }
    entries.push(("version".to_owned(), b"3\n".to_vec()));
    std::fs::write(path, zip(&entries)).unwrap();
}

/// A zip without compression (PKWARE's APPNOTE, sections 4.3.7, 4.3.12 and 4.3.16).
pub(crate) fn zip(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
            })
        })
    }
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (name, bytes) in entries {
        let name = format!("archive/{name}");
        let at = u32::try_from(file.len()).unwrap();
        let size = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        // Version 2.0, no flags, stored, no time; then what both headers share.
        let mut shared = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        shared.extend(crc32(bytes).to_le_bytes());
        shared.extend(size);
        shared.extend(size);
        shared.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        shared.extend([0, 0]);
        file.extend(b"PK\x03\x04");
        file.extend(&shared);
        file.extend(name.as_bytes());
        file.extend(bytes);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&shared);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = u32::try_from(file.len()).unwrap();
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    let length = u32::try_from(directory.len()).unwrap();
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend(count);
    file.extend(count);
    file.extend(length.to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0, 0]);
    file
}
