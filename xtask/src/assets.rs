//! The files of the client as browsers get them: under names that carry a hash of the content, so they can be
//! cached permanently, and compressed ahead of time. What was compressed once is kept, since brotli's best is
//! slow; the folder only changes when the client does, so that a server that embeds it is not built again for
//! nothing.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use brotli::enc::BrotliEncoderParams;
use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use sha2::{Digest, Sha256};

/// How hard to try: a person waits for `Dev`, while `Release` is sent over the network many times.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    Dev,
    Release,
}

impl Effort {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }

    fn brotli_quality(self) -> i32 {
        match self {
            Self::Dev => 5,
            Self::Release => 11,
        }
    }

    fn gzip_level(self) -> Compression {
        match self {
            Self::Dev => Compression::fast(),
            Self::Release => Compression::best(),
        }
    }
}

/// A program of which a bundle is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// For the pages of a workspace, except those of the lab.
    Shop,
    /// For the lab's map.
    LabMap,
    /// For the lab's split view.
    LabSplit,
    /// For the lab's recordings.
    LabRecording,
    /// For the lab's dials.
    LabDials,
    /// For the lab's event handlers and dead letters.
    LabHandlers,
    /// For the lab's views of one's own.
    LabViews,
    /// For the lab's lessons.
    LabLessons,
    /// For an educator's pages of the class.
    LabClass,
    /// For the lab's streams and events.
    LabLog,
    /// The module that folds, which map, recordings and streams load when they first want a document.
    LabFolds,
}

impl Program {
    /// All programs, the largest bundle first.
    pub(crate) const ALL: [Self; 11] = [
        Self::Shop,
        Self::LabMap,
        Self::LabSplit,
        Self::LabRecording,
        Self::LabDials,
        Self::LabHandlers,
        Self::LabViews,
        Self::LabLog,
        Self::LabLessons,
        Self::LabClass,
        Self::LabFolds,
    ];

    /// The name that cargo knows.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Shop => "frontend",
            Self::LabMap => "lab_map",
            Self::LabSplit => "lab_split",
            Self::LabRecording => "lab_recording",
            Self::LabDials => "lab_dials",
            Self::LabHandlers => "lab_handlers",
            Self::LabViews => "lab_views",
            Self::LabLessons => "lab_lessons",
            Self::LabClass => "lab_class",
            Self::LabLog => "lab_log",
            Self::LabFolds => "lab_folds",
        }
    }

    /// The first part of the names of the bundle's files.
    pub(crate) fn stem(self) -> &'static str {
        match self {
            Self::Shop => "foldline",
            Self::LabMap => "lab-map",
            Self::LabSplit => "lab-split",
            Self::LabRecording => "lab-recording",
            Self::LabDials => "lab-dials",
            Self::LabHandlers => "lab-handlers",
            Self::LabViews => "lab-views",
            Self::LabLessons => "lab-lessons",
            Self::LabClass => "lab-class",
            Self::LabLog => "lab-log",
            Self::LabFolds => "lab-folds",
        }
    }

    /// Where the manifest has the names of the files.
    fn pointer(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Shop => ("bundle", None),
            Self::LabMap => ("lab", Some("map")),
            Self::LabSplit => ("lab", Some("split")),
            Self::LabRecording => ("lab", Some("recording")),
            Self::LabDials => ("lab", Some("dials")),
            Self::LabHandlers => ("lab", Some("handlers")),
            Self::LabViews => ("lab", Some("views")),
            Self::LabLessons => ("lab", Some("lessons")),
            Self::LabClass => ("lab", Some("class")),
            Self::LabLog => ("lab", Some("log")),
            Self::LabFolds => ("lab", Some("folds")),
        }
    }
}

/// The purpose of a file of the client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The JavaScript glue of a WebAssembly bundle.
    BundleScript(Program),
    /// The WebAssembly module of a bundle.
    BundleModule(Program),
    /// The script of the frame, for every page.
    FrameScript,
    /// The script of the picture's page.
    InfographicScript,
    /// The style sheet, for every page.
    Style,
}

impl Kind {
    /// The first part of the file's name, before the hash.
    fn stem(self) -> &'static str {
        match self {
            Self::BundleScript(program) | Self::BundleModule(program) => program.stem(),
            Self::Style => "foldline",
            Self::FrameScript => "frame",
            Self::InfographicScript => "infographic",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::BundleScript(_) | Self::FrameScript | Self::InfographicScript => "js",
            Self::BundleModule(_) => "wasm",
            Self::Style => "css",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::BundleScript(_) | Self::FrameScript | Self::InfographicScript => {
                "text/javascript; charset=utf-8"
            }
            Self::BundleModule(_) => "application/wasm",
            Self::Style => "text/css; charset=utf-8",
        }
    }

    /// Whether every page loads the file, and not only the pages of a workspace.
    pub(crate) fn is_on_every_page(self) -> bool {
        matches!(self, Self::FrameScript | Self::Style)
    }

    /// The program of whose bundle the file is a part.
    pub(crate) fn program(self) -> Option<Program> {
        match self {
            Self::BundleScript(program) | Self::BundleModule(program) => Some(program),
            Self::FrameScript | Self::InfographicScript | Self::Style => None,
        }
    }
}

/// A file of the client before it gets its name.
pub(crate) struct Asset {
    pub(crate) kind: Kind,
    pub(crate) content: Vec<u8>,
    /// The part of the name that identifies the content.
    pub(crate) hash: String,
}

/// A file of the client in its three encodings, in bytes.
pub(crate) struct Sizes {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) raw: usize,
    pub(crate) gzip: usize,
    pub(crate) brotli: usize,
}

/// Sixteen hex digits of the SHA-256 of the parts: more than enough to tell two builds apart.
pub(crate) fn hash(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    hex::encode(&hasher.finalize()[..8])
}

/// Writes `manifest.json` and `pkg/` into `site`, keeping compressed files in `cache` from one build to the
/// next.
pub(crate) fn publish(site: &Path, cache: &Path, effort: Effort, assets: &[Asset]) -> Result<Vec<Sizes>> {
    let pkg = site.join("pkg");
    fs::create_dir_all(&pkg)?;
    fs::create_dir_all(cache)?;
    let mut current = BTreeSet::new();
    let mut cached = BTreeSet::new();
    let mut sizes = Vec::new();
    let mut manifest = json!({ "files": [] });

    for asset in assets {
        let kind = asset.kind;
        let name = format!("{}.{}.{}", kind.stem(), asset.hash, kind.extension());
        let content_hash = hash(&[&asset.content]);
        let mut compress = |suffix: &str, encode: &dyn Fn(&[u8]) -> Result<Vec<u8>>| -> Result<usize> {
            let kept = cache.join(format!("{content_hash}.{suffix}"));
            let encoded = match fs::read(&kept) {
                Ok(encoded) => encoded,
                Err(_missing) => {
                    let encoded = encode(&asset.content)?;
                    fs::write(&kept, &encoded)?;
                    encoded
                }
            };
            let file = pkg.join(format!("{name}.{suffix}"));
            write_if_changed(&file, &encoded)?;
            current.insert(file);
            cached.insert(kept);
            Ok(encoded.len())
        };
        let brotli = compress("br", &|content| brotli(content, effort))?;
        let gzip = compress("gz", &|content| gzip(content, effort))?;
        let file = pkg.join(&name);
        write_if_changed(&file, &asset.content)?;
        current.insert(file);

        let mut bundle = |program: Program, file: &str| {
            let of_program = match program.pointer() {
                (member, None) => &mut manifest[member],
                (member, Some(inner)) => &mut manifest[member][inner],
            };
            of_program[file] = json!(name);
        };
        match kind {
            Kind::BundleScript(program) => bundle(program, "js"),
            Kind::BundleModule(program) => bundle(program, "wasm"),
            Kind::FrameScript => manifest["frame"] = json!(name),
            Kind::InfographicScript => manifest["infographic"] = json!(name),
            Kind::Style => manifest["css"] = json!(name),
        }
        let file = json!({ "name": name, "content_type": kind.content_type(), "raw": asset.content.len(),
                           "br": brotli, "gz": gzip });
        if let Some(files) = manifest["files"].as_array_mut() {
            files.push(file);
        }
        sizes.push(Sizes {
            kind,
            name,
            raw: asset.content.len(),
            gzip,
            brotli,
        });
    }

    write_if_changed(&site.join("manifest.json"), format!("{manifest:#}\n").as_bytes())?;
    remove_others(&pkg, &current)?;
    remove_others(cache, &cached)?;
    Ok(sizes)
}

/// Leaves an unchanged file its modification time, by which cargo decides what to build again.
fn write_if_changed(file: &Path, content: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|before| before == content) {
        return Ok(());
    }
    fs::write(file, content).with_context(|| format!("could not write {}", file.display()))
}

/// Removes the files of earlier builds.
fn remove_others(folder: &Path, current: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() && !current.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn brotli(content: &[u8], effort: Effort) -> Result<Vec<u8>> {
    let mut encoded = Vec::new();
    let parameters = BrotliEncoderParams {
        quality: effort.brotli_quality(),
        ..BrotliEncoderParams::default()
    };
    brotli::BrotliCompress(&mut &content[..], &mut encoded, &parameters)?;
    Ok(encoded)
}

fn gzip(content: &[u8], effort: Effort) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), effort.gzip_level());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn style(content: &str) -> Asset {
        let content = content.as_bytes().to_vec();
        let hash = hash(&[&content]);
        Asset {
            kind: Kind::Style,
            content,
            hash,
        }
    }

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_changed_file_gets_another_name_and_the_old_one_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (site, cache) = (folder.path().join("site"), folder.path().join("cache"));
        publish(&site, &cache, Effort::Dev, &[style("a{}")]).unwrap();
        let before = files(&site.join("pkg"));
        publish(&site, &cache, Effort::Dev, &[style("b{}")]).unwrap();
        let after = files(&site.join("pkg"));
        assert_eq!(after.len(), 3);
        assert!(before.iter().all(|name| !after.contains(name)));

        let manifest = fs::read_to_string(site.join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["css"], after[0]);
        assert_eq!(manifest["files"][0]["raw"], 3);
    }

    #[test]
    fn a_site_that_did_not_change_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let (site, cache) = (folder.path().join("site"), folder.path().join("cache"));
        let written = || {
            fs::metadata(site.join("manifest.json"))
                .unwrap()
                .modified()
                .unwrap()
        };
        publish(&site, &cache, Effort::Dev, &[style("a{}")]).unwrap();
        let first = written();
        publish(&site, &cache, Effort::Dev, &[style("a{}")]).unwrap();
        assert_eq!(written(), first);
    }

    #[test]
    fn the_manifest_names_the_files_by_their_purpose() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site");
        let asset = |kind, hash: &str| Asset {
            kind,
            content: Vec::new(),
            hash: hash.to_owned(),
        };
        let assets = [
            asset(Kind::BundleModule(Program::Shop), "1"),
            asset(Kind::BundleScript(Program::Shop), "1"),
            asset(Kind::BundleModule(Program::LabMap), "4"),
            asset(Kind::BundleScript(Program::LabMap), "4"),
            asset(Kind::FrameScript, "2"),
            asset(Kind::Style, "3"),
        ];
        publish(&site, &folder.path().join("cache"), Effort::Dev, &assets).unwrap();
        let manifest = fs::read_to_string(site.join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(
            manifest["bundle"],
            json!({ "js": "foldline.1.js", "wasm": "foldline.1.wasm" })
        );
        assert_eq!(
            manifest["lab"]["map"],
            json!({ "js": "lab-map.4.js", "wasm": "lab-map.4.wasm" })
        );
        assert_eq!(manifest["frame"], "frame.2.js");
        assert_eq!(manifest["css"], "foldline.3.css");
    }

    #[test]
    fn the_boundary_between_two_parts_is_part_of_the_hash() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
    }
}
