//! A limit of the sizes of files (`ulimit -f`): a write beyond it fails, and the program goes on to say so.

use crate::running::clean;

#[test]
fn a_write_beyond_the_limit_of_file_sizes_fails_and_is_no_end_by_a_signal() {
    let data = tempfile::tempdir().unwrap();
    // The key that signs the token is the first file.
    let output = clean("sh")
        .args(["-c", r#"ulimit -f 0 && exec "$0" "$@""#])
        .args([env!("CARGO_BIN_EXE_foldline"), "token"])
        .args([
            "--workspace",
            "00000000-0000-0000-0000-000000000001",
            "--role",
            "educator",
        ])
        .arg("--data-dir")
        .arg(data.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("foldline: "), "{said}");
}
