//! Settings: flags, variables, and a file in TOML. The command line is built for each input, so there are
//! fewer of them.

use std::ffi::OsString;

use fuzz::{TestCaseError, bounded, bytes, check_cases, prop, prop_assert, texts};
use server::settings::{Cli, SettingsError, load};

const CASES: u32 = 24;

const FILES: &[&str] = &[
    "listen = \"127.0.0.1:0\"\nrequests-per-minute = 60\n",
    "event-store = \"sqlite:a.db\"\nfor-tests = true\nlog-format = \"json\"\n",
    "# nothing\n\n[table]\nlisten = 1\n",
    "postgres-connections = 9\nsandbox-idle-days = 36500\nwarehouse = \"s3://bucket/path\"\n",
];

/// Settings with a type of their own each.
const SETTINGS: &[&str] = &[
    "listen",
    "broker",
    "cache",
    "log-format",
    "otlp-endpoint",
    "otlp-sample-percent",
    "postgres-connections",
    "requests-per-minute",
    "sandbox-events",
    "sandbox-idle-days",
    "mail-from",
    "public-url",
    "for-tests",
];

fn loaded(arguments: Vec<OsString>, variables: Vec<OsString>) -> Result<Cli, SettingsError> {
    let program = ["foldline", "serve"].map(OsString::from);
    load(program.into_iter().chain(arguments), variables)
}

/// A refused value is told with the name of its setting.
fn names_its_field(
    setting: &str,
    value: &str,
    result: Result<Cli, SettingsError>,
) -> Result<(), TestCaseError> {
    let Err(error) = result else {
        return Ok(());
    };
    let error = error.to_string();
    prop_assert!(error.contains(setting), "{setting} = {value:?}: {error}");
    bounded(&error, value.len())
}

#[test]
fn hostile_settings_as_flags_are_refused_with_their_name() {
    check_cases(
        CASES,
        &(prop::sample::select(SETTINGS), texts()),
        |(setting, value)| {
            let flag = format!("--{setting}={value}").into();
            names_its_field(setting, &value, loaded(vec![flag], Vec::new()))
        },
    );
}

#[test]
fn hostile_settings_in_a_file_are_refused_with_their_name() {
    check_cases(
        CASES,
        &(prop::sample::select(SETTINGS), texts()),
        |(setting, value)| {
            let file = tempfile::NamedTempFile::new().unwrap();
            let text = format!("{setting} = {}\n", toml::Value::String(value.clone()));
            std::fs::write(file.path(), text).unwrap();
            let arguments = vec!["--config".into(), file.path().into()];
            names_its_field(setting, &value, loaded(arguments, Vec::new()))
        },
    );
}

#[test]
fn hostile_settings_files_are_read_or_refused_with_a_reason() {
    check_cases(CASES, &bytes(FILES), |content| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &content).unwrap();
        let arguments = vec!["--config".into(), file.path().into()];
        match loaded(arguments, Vec::new()) {
            Ok(_) => Ok(()),
            Err(error) => bounded(&error.to_string(), content.len()),
        }
    });
}

#[test]
fn hostile_settings_as_variables_are_refused_with_their_name() {
    check_cases(CASES, &texts(), |name| {
        let name = format!("FOLDLINE_{name}");
        match loaded(Vec::new(), vec![OsString::from(&name)]) {
            Ok(_) => Ok(()),
            Err(error) => {
                prop_assert!(error.to_string().contains(&name), "{name:?}: {error}");
                Ok(())
            }
        }
    });
}
