//! The files of the client as browsers get them: under names that carry a hash of the content, so they can be cached
//! for ever, and compressed ahead of time. What was compressed once is kept, since brotli's best is slow; the folder
//! only changes when the client does, so that a server that embeds it is not built again for nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use brotli::enc::BrotliEncoderParams;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
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

/// A file of the client before it gets its name.
pub(crate) struct Asset {
    /// The first part of its name: the program that it is of, or what else it is.
    pub(crate) stem: &'static str,
    pub(crate) extension: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) content: Vec<u8>,
    /// The part of the name that says which content this is.
    pub(crate) hash: String,
}

/// A file of the client in its three encodings, in bytes.
pub(crate) struct Sizes {
    pub(crate) stem: &'static str,
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

/// Writes `manifest.json` and `pkg/` into `site`, keeping compressed files in `cache` from one build to the next.
pub(crate) fn publish(site: &Path, cache: &Path, effort: Effort, assets: &[Asset]) -> Result<Vec<Sizes>> {
    let pkg = site.join("pkg");
    fs::create_dir_all(&pkg)?;
    fs::create_dir_all(cache)?;
    let mut current = BTreeSet::new();
    let mut cached = BTreeSet::new();
    let mut sizes = Vec::new();
    let mut programs = BTreeMap::<&str, Value>::new();
    let mut manifest = json!({ "files": [] });

    for asset in assets {
        let name = format!("{}.{}.{}", asset.stem, asset.hash, asset.extension);
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

        if asset.extension == "css" {
            manifest["css"] = json!(name);
        } else {
            let program = programs
                .entry(asset.stem)
                .or_insert_with(|| json!({ "name": asset.stem }));
            program[asset.extension] = json!(name);
        }
        let file = json!({ "name": name, "content_type": asset.content_type, "raw": asset.content.len(),
                           "br": brotli, "gz": gzip });
        if let Some(files) = manifest["files"].as_array_mut() {
            files.push(file);
        }
        sizes.push(Sizes {
            stem: asset.stem,
            name,
            raw: asset.content.len(),
            gzip,
            brotli,
        });
    }

    manifest["programs"] = programs.into_values().collect();
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
    use super::*;

    fn style(content: &str) -> Asset {
        let content = content.as_bytes().to_vec();
        let hash = hash(&[&content]);
        Asset {
            stem: "foldline",
            extension: "css",
            content_type: "text/css",
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
    fn the_manifest_names_both_halves_of_each_program() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site");
        let half = |stem, extension| Asset {
            stem,
            extension,
            content_type: "",
            content: Vec::new(),
            hash: format!("of-{stem}"),
        };
        let assets = [
            half("workspace", "js"),
            half("entry", "wasm"),
            half("entry", "js"),
            half("workspace", "wasm"),
        ];
        publish(&site, &folder.path().join("cache"), Effort::Dev, &assets).unwrap();
        let manifest = fs::read_to_string(site.join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let program = |name: &str| json!({ "name": name, "js": format!("{name}.of-{name}.js"), "wasm": format!("{name}.of-{name}.wasm") });
        assert_eq!(
            manifest["programs"],
            json!([program("entry"), program("workspace")])
        );
    }

    #[test]
    fn the_boundary_between_two_parts_is_part_of_the_hash() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
    }
}
