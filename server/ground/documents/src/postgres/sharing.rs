//! What the servers on one PostgreSQL database agree upon: see [`Sharing`].
//!
//! A server renews its membership on any connection of its pool, and notes which one: if the process ends,
//! PostgreSQL ends that connection at once, and another server need not wait until the lease is over. A
//! pooler between them may keep the connection; then the lease decides alone.
//!
//! Each statement is a transaction of its own: two servers that end each other's membership never wait for
//! each other while they hold a row.

use async_trait::async_trait;
use database::engine::statement;
use domain::id::WorkspaceId;
use sqlx::{PgPool, Postgres};
use uuid::Uuid;

use crate::{
    DocumentStoreError,
    columns::{loaded, stored, token},
    sharing::{FollowedView, Membership, SHARED_PAGE, SharedCommit, SharedCommits, Sharing},
};

const RENEW: &str = "
    insert into servers (server, connection, renewed_at) values ($1, pg_backend_pid(), clock_timestamp())
    on conflict (server) do update set connection = excluded.connection, renewed_at = excluded.renewed_at
";

/// Ends memberships whose lease is over or whose connection is gone.
const END_OTHERS: &str = "
    delete from servers
    where server <> $1
        and (
            renewed_at < clock_timestamp() - interval '5 seconds'
            or connection <> all (array(select pid from pg_stat_activity where pid is not null))
        )
";

const CLAIM: &str = "
    insert into lane_owners as known (lane_group, server)
    select wanted, $1::uuid from unnest($2::bigint[]) wanted order by wanted
    on conflict (lane_group) do update set server = excluded.server
    where not exists (select 1 from servers where servers.server = known.server)
";

const HAND_OVER: &str = "
    update lane_owners owned set server = given.server
    from unnest($2::bigint[], $3::uuid[]) given (lane_group, server)
    where owned.lane_group = given.lane_group and owned.server = $1
";

/// Keeps commits for longer than a server needs that is not stopped by its machine.
const TRIM: &str = "delete from changes where stored_at < clock_timestamp() - interval '10 seconds'";

/// As in `read`, tables are searched by their whole keys.
const COMMITS: &str = "
    select
        wanted.no, moment.generation, moment.as_of, c.events, c.partition, c.from_position, c.to_position,
        c.content
    from unnest($2::text[], $3::bigint[]) with ordinality wanted (view, events, no)
    cross join lateral (
        select
            live.generation,
            (
                select string_agg(k.partition || ':' || k.position, ',') from checkpoints k
                where k.workspace = $1 and k.view = wanted.view and k.generation = live.generation
            ) as as_of
        from (
            select coalesce(
                (select g.live from generations g where g.workspace = $1 and g.view = wanted.view), 1
            ) as generation
        ) live
    ) moment
    left join lateral (
        select h.events, h.partition, h.from_position, h.to_position, h.content from changes h
        where h.workspace = $1 and h.view = wanted.view and h.generation = moment.generation
            and h.events > wanted.events
        order by h.events
        limit $4
    ) c on true
    order by wanted.no, c.events
";

/// A row of [`COMMITS`]: the number of the view, its generation and token, and a commit, if there is one.
type CommitColumns = (
    i64,
    i64,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
);

/// The agreement of the servers on one database.
#[derive(Debug)]
pub(super) struct PostgresSharing {
    writers: PgPool,
    readers: PgPool,
}

impl PostgresSharing {
    pub(super) fn new(writers: PgPool, readers: PgPool) -> Self {
        Self { writers, readers }
    }

    async fn owners(&self) -> Result<Vec<(u32, Uuid)>, DocumentStoreError> {
        let rows: Vec<(i64, Uuid)> = statement::<Postgres>("select lane_group, server from lane_owners")
            .all(&mut *self.writers.acquire().await?)
            .await?;
        rows.into_iter()
            .map(|(group, server)| Ok((loaded(group)?, server)))
            .collect()
    }
}

#[async_trait]
impl Sharing for PostgresSharing {
    async fn renew(&self, server: Uuid) -> Result<Membership, DocumentStoreError> {
        let servers: Vec<(Uuid,)> = {
            let mut connection = self.writers.acquire().await?;
            let renewed = statement::<Postgres>(RENEW)
                .bind(server)
                .execute(&mut connection)
                .await?;
            if renewed != 1 {
                let error = "the membership of a server was not renewed";
                return Err(DocumentStoreError::Corrupt(error.to_owned()));
            }
            // as many as are gone
            statement::<Postgres>(END_OTHERS)
                .bind(server)
                .execute(&mut connection)
                .await?;
            statement::<Postgres>("select server from servers order by server")
                .all(&mut connection)
                .await?
        };
        Ok(Membership {
            servers: servers.into_iter().map(|(server,)| server).collect(),
            owners: self.owners().await?,
        })
    }

    async fn claim(&self, server: Uuid, groups: &[u32]) -> Result<Vec<(u32, Uuid)>, DocumentStoreError> {
        let groups: Vec<i64> = groups.iter().map(|group| i64::from(*group)).collect();
        // fewer where another server was first
        statement::<Postgres>(CLAIM)
            .bind(server)
            .bind(groups)
            .execute(&mut *self.writers.acquire().await?)
            .await?;
        self.owners().await
    }

    async fn hand_over(&self, server: Uuid, groups: &[(u32, Uuid)]) -> Result<(), DocumentStoreError> {
        let (groups, servers): (Vec<i64>, Vec<Uuid>) = groups
            .iter()
            .map(|(group, server)| (i64::from(*group), *server))
            .unzip();
        // fewer where another server has taken them
        statement::<Postgres>(HAND_OVER)
            .bind(server)
            .bind(groups)
            .bind(servers)
            .execute(&mut *self.writers.acquire().await?)
            .await?;
        Ok(())
    }

    async fn leave(&self, server: Uuid) -> Result<(), DocumentStoreError> {
        // none if another server has ended it
        statement::<Postgres>("delete from servers where server = $1")
            .bind(server)
            .execute(&mut *self.writers.acquire().await?)
            .await?;
        Ok(())
    }

    async fn trim(&self) -> Result<(), DocumentStoreError> {
        statement::<Postgres>(TRIM)
            .execute(&mut *self.writers.acquire().await?)
            .await?;
        Ok(())
    }

    async fn commits(
        &self,
        workspace: WorkspaceId,
        views: &[FollowedView],
    ) -> Result<Vec<SharedCommits>, DocumentStoreError> {
        let names: Vec<&str> = views.iter().map(|followed| followed.view).collect();
        let events: Result<Vec<i64>, _> = views.iter().map(|followed| stored(followed.events)).collect();
        let rows: Vec<CommitColumns> = statement::<Postgres>(COMMITS)
            .bind(workspace.0)
            .bind(names)
            .bind(events?)
            .bind(i64::from(SHARED_PAGE))
            .all(&mut *self.readers.acquire().await?)
            .await?;
        let mut found: Vec<SharedCommits> = Vec::with_capacity(views.len());
        let mut last = 0;
        for (no, generation, as_of, events, partition, from, to, content) in rows {
            if no != last {
                let followed = usize::try_from(no - 1).ok().and_then(|index| views.get(index));
                let followed = followed
                    .ok_or_else(|| DocumentStoreError::Corrupt("commits belong to no view".to_owned()))?;
                found.push(SharedCommits {
                    view: followed.view,
                    generation: loaded(generation)?,
                    as_of: token(as_of.as_deref())?,
                    commits: Vec::new(),
                });
                last = no;
            }
            let Some(commits) = found.last_mut() else { continue };
            if let (Some(events), Some(partition), Some(from), Some(to)) = (events, partition, from, to) {
                commits.commits.push(SharedCommit {
                    events: loaded(events)?,
                    partition: loaded(partition)?,
                    from: loaded(from)?,
                    to: loaded(to)?,
                    content,
                });
            }
        }
        Ok(found)
    }
}
