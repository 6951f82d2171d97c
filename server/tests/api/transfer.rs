//! `GET /export`, `foldline export` and `foldline import`: between the databases, repeated, and with invalid
//! files.

mod forged_files;
mod invalid_files;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clock::{Clock as _, SystemClock};
use domain::{access::Role, id::WorkspaceId, timestamp::Timestamp, wire::Template};
use event_store::{EventStore, Workspace};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};

use monitor::{
    export::{export_server, export_store},
    import::ImportedWorkspace,
    tail::Remote,
    terminal::{MonitorError, verify_all},
};
use server::{
    import_files::{FileImportError, import_files},
    settings::{ConnectionLimit, Settings, StorageSettings},
};
use tempfile::TempDir;
use test_postgres::Database;

use crate::{
    app::{Person, TestApp, fields, list_product, person, place_order, problem},
    dead_letters::{get, receive},
    schemas::append_as_of,
};

/// The storage that an import writes to: files, or a database.
struct ImportTarget {
    folder: TempDir,
    database: Option<Database>,
}

impl ImportTarget {
    fn files() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            database: None,
        }
    }

    async fn postgres() -> Self {
        Self {
            database: Some(Database::new().await),
            ..Self::files()
        }
    }

    fn storage(&self) -> StorageSettings {
        let url = self
            .database
            .as_ref()
            .map(|database| database.url.parse().unwrap());
        StorageSettings {
            security_log: None,
            data_dir: self.folder.path().to_owned(),
            event_store: url.clone(),
            read_model: url,
            postgres_connections: ConnectionLimit::default(),
        }
    }

    async fn import(&self, lines: &str) -> Result<Vec<ImportedWorkspace>, FileImportError> {
        import_files(&self.storage(), Arc::new(SystemClock), lines.as_bytes()).await
    }

    async fn store(&self) -> Arc<dyn EventStore> {
        event_store::open_to_read(&self.storage().event_store())
            .await
            .unwrap()
    }

    /// The export of every workspace.
    async fn export(&self) -> String {
        exported(&self.storage()).await
    }

    /// The report of `foldline verify`.
    async fn verified(&self) -> String {
        let read_model = read_model::open_to_read(&self.storage().read_model())
            .await
            .unwrap();
        let mut out = Vec::new();
        verify_all(&*self.store().await, &*read_model, None, &mut out)
            .await
            .unwrap();
        String::from_utf8(out).unwrap()
    }
}

async fn exported(storage: &StorageSettings) -> String {
    let store = event_store::open_to_read(&storage.event_store()).await.unwrap();
    let workspaces = store.workspaces(None, 100).await.unwrap();
    let mut out = Vec::new();
    export_store(&store, workspaces, &mut out).await.unwrap();
    String::from_utf8(out).unwrap()
}

/// The export that an educator downloads.
async fn download_export(app: &TestApp, person: &Person) -> String {
    let response = app
        .get("/api/v1/export")
        .bearer_auth(&person.token)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/x-ndjson");
    assert!(
        response.headers()[header::CONTENT_DISPOSITION]
            .to_str()
            .unwrap()
            .contains(".ndjson")
    );
    response.text().await.unwrap()
}

/// A workspace of three partitions, with an event of an older schema version, and the answer to a command.
async fn class() -> (TestApp, Person, Value) {
    let app = TestApp::start().await;
    let body = json!({"template": "shop", "shards": 3, "name": "Class 7b"});
    let opened: Value = app
        .post("/api/v1/workspaces", &body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let educator = Person {
        workspace: serde_json::from_value(opened["workspace"].clone()).unwrap(),
        join_code: opened["join_code"].as_str().unwrap().to_owned(),
        token: opened["token"].as_str().unwrap().to_owned(),
    };
    app.command(&educator, &list_product("export-mug")).await;
    let stock = receive(&app, &educator, "export-mug", 3).await;
    app.command(&educator, &place_order(SystemClock.new_id(), "export-mug"))
        .await;
    // the log also has the events of the process managers
    app.settled(&educator).await;
    let app = app
        .restart_after(async |settings: &Settings| {
            let old = json!({"order": "1", "quantity": 9, "available": 3});
            let stream = "inventory-export-mug";
            append_as_of(
                settings,
                educator.workspace,
                stream,
                ("StockReservationFailed", 1),
                &old,
            )
            .await;
        })
        .await
        .unwrap();
    (app, educator, stock)
}

fn json_lines(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_goes_from_a_file_to_postgresql_and_back_unchanged() {
    let (app, educator, stock) = class().await;
    let taken = download_export(&app, &educator).await;
    let (postgres, files) = (ImportTarget::postgres().await, ImportTarget::files());
    let mut lines = taken.clone();
    for target in [&postgres, &files] {
        let imported = target.import(&lines).await.unwrap();
        assert_eq!(imported.len(), 1);
        assert_eq!(
            (
                imported[0].workspace.id,
                imported[0].already_existed,
                imported[0].new_code
            ),
            (educator.workspace, false, false)
        );
        assert!(
            target.verified().await.contains("  ok  "),
            "{}",
            target.verified().await
        );
        lines = target.export().await;
        assert_eq!(lines, taken, "an import exports what was exported");
        // views are folded, and a repeated command is recognised
        let store = target.store().await;
        let command = stock["command_id"].as_str().unwrap().parse().unwrap();
        let known = store
            .recorded_command(educator.workspace, command)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(known.answer.token.to_string(), stock["token"].as_str().unwrap());
        assert!(known.is_repeated_by(&[9; 32]), "no export says what its body was");
        let views = read_model::open_to_read(&target.storage().read_model())
            .await
            .unwrap();
        let mug = views
            .document(educator.workspace, "inventory", "export-mug")
            .await
            .unwrap();
        assert!(mug.value.unwrap().data.get().contains("\"on_hand\":3"));
        // a second import does nothing
        let again = target.import(&lines).await.unwrap();
        assert!(again[0].already_existed);
        assert_eq!(target.export().await, taken);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_continues_an_imported_workspace() {
    let (app, educator, _) = class().await;
    let taken = download_export(&app, &educator).await;
    let elsewhere = TestApp::start().await;
    let elsewhere = elsewhere
        .restart_after(async |settings: &Settings| {
            let storage = &settings.storage;
            import_files(storage, Arc::new(SystemClock), taken.as_bytes())
                .await
                .unwrap();
        })
        .await
        .unwrap();
    // the token's key is the other server's, so this server signs one
    let educator = elsewhere.with_role(&educator, Role::Educator);
    let received = receive(&elsewhere, &educator, "export-mug", 4).await;
    let path = format!(
        "/api/v1/views/inventory/export-mug?after={}",
        received["token"].as_str().unwrap()
    );
    assert_eq!(get(&elsewhere, &educator, &path).await["data"]["on_hand"], 7);
    assert_eq!(
        get(&elsewhere, &educator, "/api/v1/verify").await["findings"],
        json!([])
    );
    let student = elsewhere.student(&educator.join_code).await;
    assert_eq!(student.workspace, educator.workspace);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_with_a_clock_of_its_own_goes_on_after_an_import_and_its_time_does_not_go_back() {
    let app = TestApp::start().await;
    let body = json!({"template": "empty", "clock": "2024-02-28T09:00:00Z"});
    let educator = person(app.post("/api/v1/workspaces", &body).send().await.unwrap()).await;
    receive(&app, &educator, "export-mug", 1).await;
    let ahead = json!({"advance_ms": 10 * 365 * 86_400_000_i64});
    let moved = app.post("/api/v1/lab/clock", &ahead).bearer_auth(&educator.token);
    let moved: Value = moved.send().await.unwrap().json().await.unwrap();
    receive(&app, &educator, "export-mug", 2).await;
    let taken = download_export(&app, &educator).await;
    app.stop().await;
    let target = ImportTarget::files();
    target.import(&taken).await.unwrap();
    assert_eq!(target.export().await, taken);
    let ImportTarget { folder, .. } = target;
    let elsewhere = TestApp::start_on(folder).await;
    let educator = elsewhere.with_role(&educator, Role::Educator);
    let time = |clock: &Value| -> Timestamp { clock["now"].as_str().unwrap().parse().unwrap() };
    let clock = get(&elsewhere, &educator, "/api/v1/lab/clock").await;
    assert!(time(&clock) >= time(&moved), "{clock} after {moved}");
    receive(&elsewhere, &educator, "export-mug", 4).await;
    let report = get(&elsewhere, &educator, "/api/v1/verify").await;
    assert_eq!(report["findings"], json!([]));
    let lines = json_lines(&download_export(&elsewhere, &educator).await);
    let times: Vec<_> = lines.iter().filter_map(|line| line["time"].as_str()).collect();
    assert!(
        times.iter().any(|time| time.starts_with("2024-02-28T")),
        "{times:?}"
    );
}

#[tokio::test]
async fn every_line_is_a_cloud_event() {
    let (app, educator, _) = class().await;
    let lines = json_lines(&download_export(&app, &educator).await);
    let mut ids = std::collections::HashSet::new();
    for line in &lines {
        let line = line.as_object().unwrap();
        assert_eq!(line["specversion"], "1.0");
        for attribute in ["id", "source", "type"] {
            assert!(!line[attribute].as_str().unwrap().is_empty());
        }
        assert_eq!(line["datacontenttype"], "application/json");
        for name in line.keys() {
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            assert!(name.len() <= 20 && name.chars().all(allowed), "{name}");
        }
        assert!(
            ids.insert((line["source"].clone(), line["id"].clone())),
            "{line:?}"
        );
    }
    let commands: Vec<_> = lines
        .iter()
        .filter(|line| line["type"] == "foldline.command.v2")
        .collect();
    let members = |line: &&Value| {
        line["data"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert!(!commands.is_empty());
    assert!(
        commands.iter().all(|line| members(line) == ["answer"]),
        "no digest is exported"
    );
    assert_eq!(lines[0]["type"], "foldline.workspace.v2");
    assert_eq!(lines[0]["data"]["part"], json!({"number": 1, "of": 1}));
    assert_eq!(lines[0]["data"]["join_code"], educator.join_code.as_str());
    assert_eq!(lines.last().unwrap()["type"], "foldline.end.v1");
    let old = lines
        .iter()
        .find(|line| line["type"] == "StockReservationFailed")
        .unwrap();
    assert_eq!(old["dataschema"], "urn:foldline:schema:StockReservationFailed:1");
    assert_eq!(old["subject"], "inventory-export-mug");
    assert_eq!(
        (&old["schemaversion"], &old["streamversion"]),
        // after the received and the reserved stock
        (&json!(1), &json!("3"))
    );
    assert_eq!(old["data"], json!({"order": "1", "quantity": 9, "available": 3}));
    assert!(old["time"].as_str().unwrap().ends_with('Z') && old["hash"].as_str().unwrap().len() == 64);
    let stream = get(&app, &educator, "/api/v1/streams/inventory-export-mug").await;
    assert_eq!(stream["data"][2]["event_id"], old["id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_with_newer_events_is_not_overwritten_and_a_taken_join_code_is_replaced() {
    let (app, educator, _) = class().await;
    let before = download_export(&app, &educator).await;
    receive(&app, &educator, "export-mug", 1).await;
    let after = download_export(&app, &educator).await;
    app.stop().await;
    for target in [ImportTarget::files(), ImportTarget::postgres().await] {
        target.import(&after).await.unwrap();
        let refused = target.import(&before).await.unwrap_err().to_string();
        assert!(
            refused.starts_with("line 1: ") && refused.contains("with other content"),
            "{refused}"
        );
        assert_eq!(target.export().await, after);
        // another workspace has the join code already
        let other = Workspace {
            id: WorkspaceId(SystemClock.new_id()),
            name: "Another".to_owned(),
            template: Template::Empty,
            shards: 1,
            join_code: "TAKEN23".to_owned(),
            created_at: SystemClock.now(),
        };
        let store = event_store::open(&target.storage().event_store(), Arc::new(SystemClock), None)
            .await
            .unwrap();
        assert!(store.create_workspace(&other).await.unwrap());
        store.close().await;
        let foreign = ImportTarget::files();
        let store = event_store::open(&foreign.storage().event_store(), Arc::new(SystemClock), None)
            .await
            .unwrap();
        let same_code = Workspace {
            id: WorkspaceId(SystemClock.new_id()),
            ..other.clone()
        };
        assert!(store.create_workspace(&same_code).await.unwrap());
        store.close().await;
        let imported = target.import(&foreign.export().await).await.unwrap();
        assert!(imported[0].new_code);
        let found = target
            .store()
            .await
            .workspace(same_code.id)
            .await
            .unwrap()
            .unwrap();
        assert_ne!(found.join_code, other.join_code);
        assert_eq!(
            (found.name, imported[0].workspace.join_code.clone()),
            (other.name, found.join_code)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_of_a_busy_workspace_is_a_consistent_snapshot() {
    // The writer continues until the exports end, so there is no limit.
    let unlimited = ["--requests-per-minute", "0", "--sandbox-events", "0"];
    let app = TestApp::start_with(&unlimited).await;
    let body = json!({"template": "shop", "shards": 4});
    let opened: Value = app
        .post("/api/v1/workspaces", &body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let educator = Person {
        workspace: serde_json::from_value(opened["workspace"].clone()).unwrap(),
        join_code: String::new(),
        token: opened["token"].as_str().unwrap().to_owned(),
    };
    let done = AtomicBool::new(false);
    let busy = async {
        let mut last = json!(null);
        while !done.load(Ordering::Relaxed) {
            last = receive(&app, &educator, "mug", 1).await;
        }
        last
    };
    let exporting = async {
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.push(download_export(&app, &educator).await);
        }
        done.store(true, Ordering::Relaxed);
        taken
    };
    let (_, taken) = tokio::join!(busy, exporting);
    for lines in taken {
        let target = ImportTarget::files();
        target.import(&lines).await.unwrap();
        assert!(target.verified().await.contains("  ok  "));
        assert_eq!(target.export().await, lines);
    }
}

#[tokio::test]
async fn a_workspace_is_exported_by_its_educators_only() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    receive(&app, &educator, "mug", 1).await;
    for role in [Role::Customer, Role::Staff, Role::Student] {
        let person = app.with_role(&educator, role);
        let refused = app
            .get("/api/v1/export")
            .bearer_auth(&person.token)
            .send()
            .await
            .unwrap();
        assert_eq!(problem(refused).await.status, 403, "{role:?}");
    }
    let anonymous = app.get("/api/v1/export").send().await.unwrap();
    assert_eq!(problem(anonymous).await.status, 401);
    let parameter = app.get("/api/v1/export?workspace=1").bearer_auth(&educator.token);
    let refused = problem(parameter.send().await.unwrap()).await;
    assert_eq!((refused.status, fields(&refused)), (400, vec!["workspace"]));
    // an export has nothing of another workspace, and a second one is the same
    let stranger = app.educator().await;
    let lines = download_export(&app, &stranger).await;
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert_eq!(download_export(&app, &stranger).await, lines);
    // at the terminal too
    let remote = |person: &Person| Remote {
        url: app.url("").parse().unwrap(),
        token: person.token.clone(),
    };
    let mut out = Vec::new();
    export_server(&remote(&stranger), &mut out).await.unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), lines);
    let student = app.student(&educator.join_code).await;
    let refused = export_server(&remote(&student), &mut Vec::new()).await;
    assert!(matches!(refused, Err(MonitorError::Remote(_))), "{refused:?}");
}

/// Runs the program: whether it succeeded, its standard output, and its standard error.
pub(crate) async fn foldline(arguments: &[&str]) -> (bool, String, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_foldline"));
    // The environment's own settings must not apply.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FOLDLINE_") {
            command.env_remove(name);
        }
    }
    let output = command.args(arguments).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_exports_and_imports() {
    let (app, educator, _) = class().await;
    let taken = download_export(&app, &educator).await;
    let from = app.folder().to_str().unwrap().to_owned();
    let (there, id) = (tempfile::tempdir().unwrap(), educator.workspace.to_string());
    let file = there.path().join("class.ndjson");
    let file = file.to_str().unwrap();
    // while the server runs
    let (ok, out, said) = foldline(&["export", "--data-dir", &from, "--workspace", &id]).await;
    assert!(ok && out == taken && said.contains(&id), "{said}");
    let (ok, out, said) = foldline(&["export", "--data-dir", &from, "--to", file]).await;
    assert!(ok && out.is_empty(), "{said}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), taken);
    let (ok, _, said) = foldline(&["export", "--data-dir", &from, "--to", file]).await;
    assert!(!ok && said.contains("is there already"), "{said}");
    let (ok, _, said) = foldline(&["import", "--data-dir", &from, file]).await;
    assert!(!ok && said.contains("another process has"), "{said}");
    app.stop().await;
    let to = there.path().join("data");
    let to = to.to_str().unwrap();
    let (ok, _, said) = foldline(&["import", "--data-dir", to, file]).await;
    assert!(ok && said.contains(&id) && said.contains("imported"), "{said}");
    let (ok, out, said) = foldline(&["verify", "--data-dir", to]).await;
    assert!(ok && out.contains("  ok  "), "{out}{said}");
    let (ok, _, said) = foldline(&["import", "--data-dir", to, file]).await;
    assert!(ok && said.contains("was there already"), "{said}");
    assert!(Path::new(to).join("views.db").is_file());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_reports_the_events_that_views_could_not_apply() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("export-mug")).await;
    let taken = download_export(&app, &educator).await;
    let other = download_export(&app, &app.educator().await).await;
    app.stop().await;
    let target = ImportTarget::postgres().await;
    let [file, first] = ["class.ndjson", "other.ndjson"].map(|name| target.folder.path().join(name));
    std::fs::write(&file, taken).unwrap();
    std::fs::write(&first, other).unwrap();
    let (data, file) = (target.folder.path().join("data"), file.to_str().unwrap());
    let (data, url) = (
        data.to_str().unwrap(),
        target.database.as_ref().unwrap().url.as_str(),
    );
    let import = async |file: &str| {
        foldline(&[
            "import",
            "--data-dir",
            data,
            "--event-store",
            url,
            "--read-model",
            url,
            file,
        ])
        .await
    };
    // The first import makes the tables. Then the database refuses one document, as it does with a key that
    // is too long for its index.
    let (ok, _, said) = import(first.to_str().unwrap()).await;
    assert!(ok, "{said}");
    let database = sqlx::PgPool::connect(url).await.unwrap();
    sqlx::query(
        "alter table foldline_views.documents
         add constraint refused check (view <> 'products' or key <> 'export-mug')",
    )
    .execute(&database)
    .await
    .unwrap();
    database.close().await;
    for what in ["imported", "was there already"] {
        let (ok, _, said) = import(file).await;
        assert!(ok && said.contains(what), "{said}");
        assert!(
            said.contains("    products could not apply 1 events, and 0 wait behind them"),
            "{said}"
        );
        let advice = format!("`foldline dead-letters list --workspace {}`", educator.workspace);
        assert!(said.contains(&advice), "{said}");
    }
}
