//! The style sheet: `style/main.css` and what it imports, bundled into one file and minified. It promises CSS
//! that the browsers named below understand; everything else about the design is in `style/`.

use std::path::Path;

use anyhow::{Result, anyhow};
use lightningcss::{
    bundler::{Bundler, FileProvider},
    stylesheet::{MinifyOptions, ParserOptions, PrinterOptions},
    targets::{Browsers, Targets},
};

/// Browsers from the spring of 2023 on: older than two years for everyone, and all that have the WebAssembly
/// features which the client is optimised for.
fn targets() -> Targets {
    let version = |major: u32, minor: u32| Some(major << 16 | minor << 8);
    Targets::from(Browsers {
        chrome: version(112, 0),
        edge: version(112, 0),
        firefox: version(113, 0),
        safari: version(16, 4),
        ios_saf: version(16, 4),
        ..Browsers::default()
    })
}

/// The bundle of `entry`.
pub(crate) fn bundle(entry: &Path) -> Result<Vec<u8>> {
    let files = FileProvider::new();
    let targets = targets();
    // The errors borrow from the files, so they are told before the files go.
    let mut sheet = Bundler::new(&files, None, ParserOptions::default())
        .bundle(entry)
        .map_err(|error| anyhow!("{}: {error}", entry.display()))?;
    sheet
        .minify(MinifyOptions {
            targets,
            ..MinifyOptions::default()
        })
        .map_err(|error| anyhow!("{}: {error}", entry.display()))?;
    let printed = sheet
        .to_css(PrinterOptions {
            minify: true,
            targets,
            ..PrinterOptions::default()
        })
        .map_err(|error| anyhow!("{}: {error}", entry.display()))?;
    Ok(printed.code.into_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn imports_become_one_small_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("main.css"), "@import \"a.css\" layer(base);").unwrap();
        fs::write(
            folder.path().join("a.css"),
            "a { color: red; &:hover { color: blue } }",
        )
        .unwrap();
        let css = bundle(&folder.path().join("main.css")).unwrap();
        let css = String::from_utf8(css).unwrap();
        assert!(css.starts_with("@layer base{a{color:red}"), "{css}");
        assert!(!css.contains("@import") && !css.contains('\n'), "{css}");
    }

    #[test]
    fn a_mistake_names_its_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("main.css"), "@import \"missing.css\";").unwrap();
        let error = bundle(&folder.path().join("main.css")).unwrap_err();
        assert!(error.to_string().contains("main.css"), "{error}");
    }
}
