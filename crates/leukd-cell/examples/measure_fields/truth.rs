//! Fields with what people drew on them.

use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;

/// A field and its annotations.
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) picture: RgbImage,
    /// Left, top, right, bottom of each white cell.
    pub(crate) boxes: Vec<[f32; 4]>,
    /// Median of the red cells' longer sides, where they have boxes.
    pub(crate) red: Option<f32>,
    /// Whole cells.
    pub(crate) cells: Vec<Mask>,
    /// The nucleus, where the set has it.
    pub(crate) nucleus: Option<Mask>,
}

/// A picture of yes and no.
#[derive(Clone)]
pub(crate) struct Mask {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) set: Vec<bool>,
}

impl Mask {
    pub(crate) fn empty((width, height): (u32, u32)) -> Self {
        Self { width, height, set: vec![false; (width * height) as usize] }
    }

    fn from_levels(path: &Path, is_set: impl Fn(u8) -> bool) -> Self {
        let levels = image::open(path).unwrap().into_luma8();
        let (width, height) = levels.dimensions();
        Self { width, height, set: levels.pixels().map(|pixel| is_set(pixel.0[0])).collect() }
    }

    pub(crate) fn set(&mut self, (row, from, to): (u32, u32, u32)) {
        let start = (row * self.width) as usize;
        self.set[start + from as usize..start + to as usize].fill(true);
    }

    pub(crate) fn at(&self, x: u32, y: u32) -> bool {
        self.set[(y * self.width + x) as usize]
    }

    pub(crate) fn area(&self) -> f64 {
        self.set.iter().filter(|set| **set).count() as f64
    }

    /// Intersection over union.
    pub(crate) fn overlap(&self, other: &Self) -> f64 {
        let pairs = || self.set.iter().zip(&other.set);
        let both = pairs().filter(|(one, two)| **one && **two).count();
        let any = pairs().filter(|(one, two)| **one || **two).count();
        if any == 0 { 0.0 } else { both as f64 / any as f64 }
    }

    pub(crate) fn scaled(&self, (width, height): (u32, u32)) -> Self {
        let mut own = Self::empty((width, height));
        for y in 0..height {
            for x in 0..width {
                let from = |at: u32, new: u32, old: u32| {
                    ((u64::from(at) * 2 + 1) * u64::from(old) / (u64::from(new) * 2)) as u32
                };
                own.set[(y * width + x) as usize] =
                    self.at(from(x, width, self.width), from(y, height, self.height));
            }
        }
        own
    }

    /// Connected parts of at least `least` pixels, with their boxes.
    fn parts(&self, least: usize) -> Vec<(Self, [f32; 4])> {
        let mut left = self.set.clone();
        let mut parts = Vec::new();
        for start in 0..left.len() {
            if !left[start] {
                continue;
            }
            let mut part = Self::empty((self.width, self.height));
            let (mut stack, mut count) = (vec![start], 0);
            left[start] = false;
            let mut ends = [f32::INFINITY, f32::INFINITY, 0.0, 0.0];
            while let Some(at) = stack.pop() {
                part.set[at] = true;
                count += 1;
                let width = self.width as usize;
                let (x, y) = (at % width, at / width);
                ends[0] = ends[0].min(x as f32);
                ends[1] = ends[1].min(y as f32);
                ends[2] = ends[2].max(x as f32 + 1.0);
                ends[3] = ends[3].max(y as f32 + 1.0);
                let mut look = |next: usize| {
                    if left[next] {
                        left[next] = false;
                        stack.push(next);
                    }
                };
                if x > 0 {
                    look(at - 1);
                }
                if x + 1 < width {
                    look(at + 1);
                }
                if y > 0 {
                    look(at - width);
                }
                if at + width < self.set.len() {
                    look(at + width);
                }
            }
            if count >= least {
                parts.push((part, ends));
            }
        }
        parts
    }
}

/// The folder of real data; none where it is missing.
pub(crate) fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("LEUKD_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    [named, Some(beside), Some(PathBuf::from("../shared/data"))]
        .into_iter()
        .flatten()
        .find(|folder| folder.join("fields").is_dir())
}

/// Every set that is there, by name.
pub(crate) fn sets(data: &Path) -> Vec<(&'static str, Vec<Sample>)> {
    let fields = data.join("fields");
    let zxaoyou = fields.join("zxaoyou");
    vec![
        ("bccd", bccd(&fields.join("bccd"))),
        ("dataset1", masked(&zxaoyou.join("dataset1"))),
        ("dataset2", masked(&zxaoyou.join("dataset2"))),
    ]
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    found.sort();
    found
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

fn bccd(folder: &Path) -> Vec<Sample> {
    let load = |path: &PathBuf| {
        let name = stem(path);
        let text = fs::read_to_string(folder.join(format!("Annotations/{name}.xml"))).unwrap();
        let mask = folder.join(format!("CellMasks/{name}.png"));
        let cells = if mask.exists() {
            let parts = Mask::from_levels(&mask, |level| level > 127).parts(200);
            parts.into_iter().map(|(part, _)| part).collect()
        } else {
            Vec::new()
        };
        let picture = image::open(path).unwrap().into_rgb8();
        let mut red: Vec<f32> = named_boxes(&text, "RBC")
            .iter()
            .map(|own| (own[2] - own[0]).max(own[3] - own[1]))
            .collect();
        red.sort_by(f32::total_cmp);
        let red = red.get(red.len() / 2).copied();
        Sample { name, picture, boxes: named_boxes(&text, "WBC"), red, cells, nucleus: None }
    };
    files(&folder.join("JPEGImages"), ".jpg").iter().map(load).collect()
}

/// Boxes of that name in a VOC file.
fn named_boxes(text: &str, name: &str) -> Vec<[f32; 4]> {
    let number = |part: &str, tag: &str| -> f32 {
        let rest = part.split_once(&format!("<{tag}>")).unwrap().1;
        rest.split_once('<').unwrap().0.trim().parse().unwrap()
    };
    text.split("<object>")
        .skip(1)
        .filter(|part| part.contains(&format!("<name>{name}</name>")))
        .map(|part| ["xmin", "ymin", "xmax", "ymax"].map(|tag| number(part, tag)))
        .collect()
}

fn masked(folder: &Path) -> Vec<Sample> {
    let load = |path: &PathBuf| {
        let mask = PathBuf::from(path.to_string_lossy().replace("_img", "_mask"));
        let cell = Mask::from_levels(&mask, |level| level > 64);
        let nucleus = Mask::from_levels(&mask, |level| level > 191);
        // One cell each: the largest part, without specks of the mask.
        let parts = cell.parts(1);
        let area = |part: &&(Mask, [f32; 4])| part.0.set.iter().filter(|set| **set).count();
        let (cell, ends) = parts.iter().max_by_key(area).unwrap().clone();
        Sample {
            name: stem(path),
            picture: image::open(path).unwrap().into_rgb8(),
            boxes: vec![ends],
            red: None,
            cells: vec![cell],
            nucleus: Some(nucleus),
        }
    };
    let mut pictures = files(folder, "_img.png");
    pictures.extend(files(folder, "_img.bmp"));
    pictures.iter().map(load).collect()
}
