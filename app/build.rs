//! Turns `locales/*.json` into the module `i18n`: every visible string of the interface, checked when it is
//! compiled.

use std::{error::Error, path::PathBuf};

use leptos_i18n_build::{Config, ParseOptions, TranslationsInfos};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let translations = TranslationsInfos::parse(
        Config::new("en")?.parse_options(ParseOptions::default().interpolate_display(true)),
    )?;
    translations.emit_diagnostics();
    translations.rerun_if_locales_changed();
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    translations.generate_i18n_module(out.join("i18n"))?;
    Ok(())
}
