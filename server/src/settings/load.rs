//! Combines the three sources of settings, and refuses invalid ones.
//!
//! A value of the file becomes a flag, unless a flag or a variable sets it already; so it is checked and
//! refused exactly as if it had been typed.

use std::{collections::BTreeSet, ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::{ArgMatches, CommandFactory, FromArgMatches, parser::ValueSource};

use super::{Cli, Command, Settings, StoreUrl, UrlError};
use mail::SmtpUrlError;

/// Variables with our prefix that the build and the tests use; they may be set in the environment of a server
/// that these start.
const VARIABLES_OF_BUILD_AND_TESTS: [&str; 3] = ["FOLDLINE_BINARY", "FOLDLINE_CHROMIUM", "FOLDLINE_SITE"];
const PREFIX_OF_TEST_VARIABLES: &str = "FOLDLINE_TEST_";

/// Why the settings are refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A flag or a value of any source; also `--help` and `--version`, which only print.
    #[error("{0}")]
    Flags(#[from] clap::Error),
    /// A variable is not a setting.
    #[error("the variable {name} is not a setting; allowed are {allowed}")]
    UnknownVariable {
        /// Its name.
        name: String,
        /// The names of all settings.
        allowed: String,
    },
    /// The file does not exist or is not TOML.
    #[error("the settings file {file} cannot be read: {reason}")]
    File {
        /// The file.
        file: PathBuf,
        /// The cause.
        reason: String,
    },
    /// A key of the file is not a setting.
    #[error("{key} in {file} is not a setting; allowed are {allowed}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The file.
        file: PathBuf,
        /// The keys of all settings.
        allowed: String,
    },
    /// The URL of a store is malformed. It is not repeated, because it may contain a password.
    #[error("{flag} is not the URL of a database; {reason}")]
    Url {
        /// The setting.
        flag: &'static str,
        /// The allowed forms.
        reason: UrlError,
    },
    /// The URL of the mail server is malformed. It is not repeated either.
    #[error("--smtp-url is not the URL of a mail server; {0}")]
    SmtpUrl(SmtpUrlError),
    /// A server for tests would listen for other machines.
    #[error("--for-tests listens on loopback only, as at 127.0.0.1:3000; --listen says {0}")]
    ForTestsBeyondLoopback(SocketAddr),
    /// A rate limit is set for a server for tests, which has none.
    #[error("--for-tests has no rate limits; leave {0} out")]
    RateForTests(&'static str),
    /// A value of the file has a type that no setting has.
    #[error("{key} in {file} must be a text, a number, true or false")]
    ValueType {
        /// The key.
        key: String,
        /// The file.
        file: PathBuf,
    },
}

/// Loads the settings from a command line and an environment.
pub fn load(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = OsString>,
) -> Result<Cli, SettingsError> {
    let mut command = Cli::command();
    command.build();
    refuse_unknown_variables(&command, variables)?;
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let matches = command.clone().try_get_matches_from(&arguments)?;
    let cli = Cli::from_arg_matches(&matches)?;
    let Some(file) = cli.config else {
        return checked(cli, &matches);
    };
    let from_file = flags_of_file(&command, &matches, file)?;
    // After a `--` they would not be flags any more.
    let end = arguments
        .iter()
        .position(|argument| argument == "--")
        .unwrap_or(arguments.len());
    arguments.splice(end..end, from_file);
    let matches = command.try_get_matches_from(arguments)?;
    checked(Cli::from_arg_matches(&matches)?, &matches)
}

/// Checks the settings whose values an error must not display.
fn checked(mut cli: Cli, matches: &ArgMatches) -> Result<Cli, SettingsError> {
    let storage = cli.command.storage();
    for (flag, url) in [
        ("--event-store", &storage.event_store),
        ("--read-model", &storage.read_model),
    ] {
        if let Some(StoreUrl::Postgres(url)) = url {
            url.check()
                .map_err(|reason| SettingsError::Url { flag, reason })?;
        }
    }
    if let Command::Serve(settings) = &mut cli.command {
        if let Some(url) = &settings.mail.smtp_url {
            url.server().map_err(SettingsError::SmtpUrl)?;
        }
        if settings.for_tests {
            no_limits_for_tests(settings, matches)?;
        }
    }
    Ok(cli)
}

/// A server for tests listens on loopback only and has no rate limits; a configured limit is refused rather
/// than ignored.
fn no_limits_for_tests(settings: &mut Settings, matches: &ArgMatches) -> Result<(), SettingsError> {
    // Also for an IPv4 address in IPv6 notation.
    if !settings.listen.ip().to_canonical().is_loopback() {
        return Err(SettingsError::ForTestsBeyondLoopback(settings.listen));
    }
    let limits = &mut settings.limits;
    for (flag, argument, rate) in [
        (
            "--requests-per-minute",
            "requests_per_minute",
            &mut limits.requests_per_minute,
        ),
        (
            "--sign-ins-per-minute",
            "sign_ins_per_minute",
            &mut limits.sign_ins_per_minute,
        ),
        (
            "--sockets-per-person",
            "sockets_per_person",
            &mut limits.sockets_per_person,
        ),
        (
            "--sockets-per-workspace",
            "sockets_per_workspace",
            &mut limits.sockets_per_workspace,
        ),
        (
            "--sandboxes-per-hour",
            "sandboxes_per_hour",
            &mut settings.sandboxes.sandboxes_per_hour,
        ),
        (
            "--mails-per-hour",
            "mails_per_hour",
            &mut settings.mail.mails_per_hour,
        ),
    ] {
        let source = matches
            .subcommand_matches("serve")
            .and_then(|chosen| chosen.value_source(argument));
        if *rate > 0 && source.is_some_and(|source| source != ValueSource::DefaultValue) {
            return Err(SettingsError::RateForTests(flag));
        }
        *rate = 0;
    }
    Ok(())
}

/// The file's values as flags of the subcommand, without those that a stronger source has set.
fn flags_of_file(
    command: &clap::Command,
    matches: &ArgMatches,
    file: PathBuf,
) -> Result<Vec<OsString>, SettingsError> {
    let unreadable = |reason: String| SettingsError::File {
        file: file.clone(),
        reason,
    };
    let text = std::fs::read_to_string(&file).map_err(|error| unreadable(error.to_string()))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| unreadable(error.to_string()))?;
    let allowed = keys(command);
    let mut flags = Vec::new();
    for (key, value) in table {
        if !allowed.contains(&key) {
            return Err(SettingsError::UnknownKey {
                key,
                file,
                allowed: listed(&allowed),
            });
        }
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(says) => says.to_string(),
            _ => return Err(SettingsError::ValueType { key, file }),
        };
        let Some((name, chosen)) = matches.subcommand() else {
            continue;
        };
        let argument = command.find_subcommand(name).and_then(|subcommand| {
            subcommand
                .get_arguments()
                .find(|argument| argument.get_long() == Some(&key))
        });
        // A file serves all subcommands, and not every subcommand has every setting.
        let Some(argument) = argument else { continue };
        let source = chosen.value_source(argument.get_id().as_str());
        if !matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            flags.push(format!("--{key}={value}").into());
        }
    }
    Ok(flags)
}

fn refuse_unknown_variables(
    command: &clap::Command,
    variables: impl IntoIterator<Item = OsString>,
) -> Result<(), SettingsError> {
    let allowed: BTreeSet<String> = arguments(command)
        .filter_map(|argument| argument.get_env())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    for name in variables {
        let name = name.to_string_lossy();
        let known = !name.starts_with("FOLDLINE_")
            || allowed.contains(name.as_ref())
            || VARIABLES_OF_BUILD_AND_TESTS.contains(&name.as_ref())
            || name.starts_with(PREFIX_OF_TEST_VARIABLES);
        if !known {
            return Err(SettingsError::UnknownVariable {
                name: name.into_owned(),
                allowed: listed(&allowed),
            });
        }
    }
    Ok(())
}

/// The keys that a file may set: every flag that has a variable, except the file itself.
fn keys(command: &clap::Command) -> BTreeSet<String> {
    arguments(command)
        .filter(|argument| argument.get_env().is_some())
        .filter_map(|argument| argument.get_long())
        .filter(|name| *name != "config")
        .map(str::to_owned)
        .collect()
}

fn arguments(command: &clap::Command) -> impl Iterator<Item = &clap::Arg> {
    command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .chain(command.get_arguments())
}

fn listed(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn loaded(arguments: &[&str]) -> Result<Settings, SettingsError> {
        let arguments = ["foldline", "serve"].iter().chain(arguments).map(OsString::from);
        match load(arguments, [])?.command {
            Command::Serve(settings) => Ok(*settings),
            other => panic!("{other:?}"),
        }
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn refusal(arguments: &[&str]) -> String {
        loaded(arguments).unwrap_err().to_string()
    }

    #[test]
    fn the_default_listens_on_loopback_and_keeps_everything_in_the_data_folder() {
        let settings = loaded(&[]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:3000");
        assert_eq!(
            settings.storage.event_store(),
            PathBuf::from("./data/events.db").into()
        );
        assert_eq!(
            settings.storage.read_model(),
            PathBuf::from("./data/views.db").into()
        );
    }

    #[test]
    fn all_stores_in_a_database_share_the_limit_of_connections() {
        let flags = [
            "--event-store",
            "postgres://localhost/shop",
            "--postgres-connections",
            "40",
        ];
        let storage = loaded(&flags).unwrap().storage;
        for store in [storage.event_store(), storage.process_store(), storage.people()] {
            let StoreUrl::Postgres(url) = store else {
                panic!("{store:?}")
            };
            assert_eq!(url.connections().to_string(), "40");
        }
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file = file("listen = \"127.0.0.1:4000\"\nmax-body-bytes = 2048\n");
        let path = file.path().to_str().unwrap();
        let settings = loaded(&["--config", path, "--max-body-bytes", "4096"]).unwrap();
        assert_eq!(settings.listen.port(), 4000);
        assert_eq!(settings.limits.max_body_bytes, 4096);
    }

    #[test]
    fn unknown_and_invalid_settings_are_refused_by_name_with_what_is_allowed() {
        for (text, said) in [
            ("lisen = \"127.0.0.1:4000\"", ["lisen", "data-dir"]),
            ("listen = \"everywhere\"", ["--listen", "everywhere"]),
            (
                "listen = \"localhost:4000\"",
                ["--listen", "127.0.0.1:3000 or [::1]:3000"],
            ),
            (
                "listen = \"127.0.0.1\"",
                ["--listen", "127.0.0.1:3000 or [::1]:3000"],
            ),
            ("log-format = \"xml\"", ["--log-format", "json"]),
            ("listen = [1]", ["listen", "a text, a number"]),
            ("max-body-bytes = 1", ["--max-body-bytes", "1024"]),
            ("postgres-connections = 8", ["--postgres-connections", "from 9"]),
            ("sandbox-idle-days = -1", ["--sandbox-idle-days", "36500"]),
            ("sandbox-people = \"many\"", ["--sandbox-people", "many"]),
            ("broker = \"kafka://localhost\"", ["--broker", "memory:"]),
            (
                "trusted-proxies = \"10.0.0.0/33\"",
                ["--trusted-proxies", "10.0.0.0/8"],
            ),
            (
                "trusted-proxies = \"::1, proxy.test\"",
                ["--trusted-proxies", "proxy.test"],
            ),
            (
                "public-url = \"ftp://shop.test\"",
                ["--public-url", "https://shop.example"],
            ),
            (
                "public-url = \"shop.test\"",
                ["--public-url", "https://shop.example"],
            ),
            ("listen =", ["cannot be read", "line 1"]),
        ] {
            let file = file(text);
            let refusal = refusal(&["--config", file.path().to_str().unwrap()]);
            for part in said {
                assert!(refusal.contains(part), "{text}: {refusal}");
            }
        }
        assert!(refusal(&["--config", "/nowhere/foldline.toml"]).contains("/nowhere/foldline.toml"));
        assert!(refusal(&["--event-store", "mysql://localhost"]).contains("sqlite:<file>"));
        for flag in ["--event-store", "--read-model"] {
            let refused = refusal(&[flag, "postgres://shop:wonderland@localhost:port/foldline"]);
            assert!(
                refused.contains(flag) && refused.contains("postgres://") && !refused.contains("wonderland"),
                "{refused}"
            );
        }
        let refused = refusal(&["--smtp-url", "smtps://shop:wonderland@mail.test/path"]);
        assert!(
            refused.contains("--smtp-url") && !refused.contains("wonderland"),
            "{refused}"
        );
        assert!(refusal(&["--smtp-ca", "a.pem"]).contains("--smtp-url"));
        assert!(refusal(&["--mail-from", "no-address"]).contains("--mail-from"));
        assert!(refusal(&["--tls-cert", "a.pem"]).contains("--tls-key"));
        assert!(refusal(&["--tls", "magic"]).contains("self-signed"));
    }

    #[test]
    fn trusted_proxies_are_a_list_in_each_source_and_by_default_there_are_none() {
        assert!(loaded(&[]).unwrap().limits.trusted_proxies.is_empty());
        let file = file("trusted-proxies = \"127.0.0.1, 2001:db8::/32\"");
        let of_file = loaded(&["--config", file.path().to_str().unwrap()]).unwrap();
        let of_flag = loaded(&["--trusted-proxies", "127.0.0.1,2001:db8::/32"]).unwrap();
        for settings in [of_file, of_flag] {
            let listed = settings.limits.trusted_proxies.iter().map(ToString::to_string);
            assert_eq!(listed.collect::<Vec<_>>(), ["127.0.0.1/32", "2001:db8::/32"]);
        }
    }

    #[test]
    fn metrics_are_for_this_machine_unless_a_source_says_otherwise() {
        let listed = |settings: &Settings| {
            let networks = settings.limits.metrics_from.iter();
            networks.map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(listed(&loaded(&[]).unwrap()), ["127.0.0.0/8", "::1/128"]);
        let file = file("metrics-from = \"10.0.0.0/8, ::1\"");
        let of_file = loaded(&["--config", file.path().to_str().unwrap()]).unwrap();
        let of_flag = loaded(&["--metrics-from", "10.0.0.0/8,::1"]).unwrap();
        for settings in [of_file, of_flag] {
            assert_eq!(listed(&settings), ["10.0.0.0/8", "::1/128"]);
        }
    }

    #[test]
    fn a_server_for_tests_has_no_rate_limits_and_stays_on_loopback() {
        let settings = loaded(&["--for-tests", "--listen", "[::1]:0"]).unwrap();
        assert!(settings.for_tests);
        assert_eq!(
            (
                settings.limits.rate(),
                settings.limits.sign_ins(),
                settings.sandboxes.per_hour()
            ),
            (None, None, None)
        );
        assert_eq!(settings.mail.mails_per_hour, 0);
        for loopback in ["127.0.0.2:3000", "[::ffff:127.0.0.1]:4000"] {
            loaded(&["--for-tests", "--listen", loopback]).unwrap();
        }
        for beyond in [
            "0.0.0.0:0",
            "[::]:3000",
            "192.0.2.1:3000",
            "[::ffff:192.0.2.1]:3000",
        ] {
            let refused = refusal(&["--for-tests", "--listen", beyond]);
            assert!(
                refused.contains("--for-tests") && refused.contains(beyond),
                "{refused}"
            );
        }
        for flag in [
            "--requests-per-minute",
            "--sign-ins-per-minute",
            "--sandboxes-per-hour",
            "--mails-per-hour",
            "--sockets-per-person",
            "--sockets-per-workspace",
        ] {
            assert!(refusal(&["--for-tests", flag, "5"]).contains(flag));
            loaded(&["--for-tests", flag, "0"]).unwrap();
        }
    }

    #[test]
    fn a_server_for_tests_can_be_asked_for_in_the_file() {
        for (text, says) in [("for-tests = true", true), ("for-tests = false", false)] {
            let file = file(text);
            let settings = loaded(&["--config", file.path().to_str().unwrap()]).unwrap();
            assert_eq!(settings.for_tests, says, "{text}");
        }
        let file = file("for-tests = true\nrequests-per-minute = 5");
        assert!(refusal(&["--config", file.path().to_str().unwrap()]).contains("--requests-per-minute"));
    }

    #[test]
    fn an_unknown_variable_is_refused_by_name() {
        let arguments = || ["foldline", "serve"].map(OsString::from);
        let error = load(arguments(), [OsString::from("FOLDLINE_LISTN")])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("FOLDLINE_LISTN") && error.contains("FOLDLINE_LISTEN"),
            "{error}"
        );
        for fine in [
            "FOLDLINE_LISTEN",
            "FOLDLINE_BINARY",
            "FOLDLINE_TEST_POSTGRES",
            "HOME",
        ] {
            load(arguments(), [OsString::from(fine)]).unwrap();
        }
    }

    #[test]
    fn a_file_serves_every_subcommand() {
        let file = file("listen = \"127.0.0.1:4000\"\ndata-dir = \"/srv/foldline\"\n");
        let arguments = [
            "foldline",
            "token",
            "--workspace",
            "0198c1a2-0000-7000-8000-000000000001",
            "--role",
            "staff",
            "--config",
            file.path().to_str().unwrap(),
        ];
        let cli = load(arguments.map(OsString::from), []).unwrap();
        let Command::Token(settings) = cli.command else {
            panic!("{cli:?}")
        };
        assert_eq!(settings.storage.data_dir, PathBuf::from("/srv/foldline"));
    }
}
