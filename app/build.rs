//! Turns `locales/*.json` into the functions of the module `text` and the files that browsers load. The build
//! fails with the key if a text is missing, does not fit the English one, or is used nowhere.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[path = "build/texts.rs"]
mod texts;

use texts::{Texts, code, usage};

fn main() -> ExitCode {
    for path in ["build.rs", "build", "locales", "src"] {
        println!("cargo::rerun-if-changed={path}");
    }
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            for problem in problems {
                println!("cargo::error={problem}");
            }
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<(), Vec<String>> {
    let failed = |what: &str, error: io::Error| vec![format!("{what}: {error}")];
    let read = |language: &str| -> Result<Texts, Vec<String>> {
        let file = format!("locales/{language}.json");
        let json = fs::read_to_string(&file).map_err(|error| failed(&file, error))?;
        Texts::parse(&json).map_err(|problem| vec![format!("app/{file}: {problem}")])
    };
    let english = read("en")?;
    let of_file = |language: &str, problems: Vec<String>| {
        let name = move |problem: String| format!("app/locales/{language}.json: {problem}");
        problems.into_iter().map(name).collect::<Vec<_>>()
    };
    let mut problems = of_file("en", english.own_problems("en"));
    let order = code::ordered(&english).map_err(|problems| of_file("en", problems))?;
    let paths = usage::paths_in(Path::new("src")).map_err(|error| failed("app/src", error))?;
    problems.extend(of_file("en", usage::unused(&english, &paths)));

    let mut files = Vec::new();
    for language in languages().map_err(|error| failed("app/locales", error))? {
        let texts = read(&language)?;
        if language != "en" {
            problems.extend(of_file(&language, texts.own_problems(&language)));
            problems.extend(of_file(&language, texts.problems_against(&english)));
        }
        files.extend(code::files(&language, &texts, &order));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("text.rs"), code::module(&order, &files)).map_err(|error| failed("text.rs", error))
}

/// The languages that have a file.
fn languages() -> io::Result<Vec<String>> {
    let mut languages = Vec::new();
    for entry in fs::read_dir("locales")? {
        let path = entry?.path();
        if let (Some(name), Some("json")) = (
            path.file_stem().and_then(|name| name.to_str()),
            path.extension().and_then(|extension| extension.to_str()),
        ) {
            languages.push(name.to_owned());
        }
    }
    languages.sort();
    Ok(languages)
}
