//! The statements that read recorded commands: those with a row of their own, now or before, and those whose
//! first event has what their answer needs, see [`answer`](crate::answer).

/// The columns of [`CommandColumns`](crate::answer::CommandColumns), for the rows `a` of commands.
macro_rules! select_rows {
    ($rest:literal) => {
        concat!(
            "select a.workspace_no, a.command_id, a.body_digest, a.correlation_id, a.answer, \
             null::bigint, null::bigint, null::text, null::bigint, null::bigint ",
            $rest
        )
    };
}

/// The same, for the rows of `events e`.
macro_rules! select_events {
    ($from:literal, $rest:literal) => {
        concat!(
            "select e.workspace_no, e.command_id, e.body_digest, e.correlation_id, e.answer, \
             p.partition, e.position, s.name, e.version, e.event_count ",
            $from,
            " join partitions p on p.no = e.partition_no join streams s on s.no = e.stream_no \
             where e.workspace_no is not null and ",
            $rest
        )
    };
}

pub(super) const RECORDED: &str = concat!(
    select_rows!(
        "from answers a
         where a.workspace_no = (select no from open_workspaces where id = $1) and a.command_id = $2"
    ),
    " union all ",
    select_rows!(
        "from earlier_commands a
         where a.workspace_no = (
            select no from open_workspaces where id = $1 and has_earlier_commands
         ) and a.command_id = $2"
    ),
    " union all ",
    select_events!(
        "from events e",
        "e.workspace_no = (select no from open_workspaces where id = $1) and e.command_id = $2"
    )
);

/// Of each kind as many as the page may have.
macro_rules! page {
    ($comparison:literal) => {
        concat!(
            "select * from (",
            select_rows!("from answers a where a.workspace_no = (select no from workspaces where id = $1)"),
            " and a.command_id ",
            $comparison,
            " $2 order by a.command_id limit $3) a union all select * from (",
            select_rows!(
                "from earlier_commands a where a.workspace_no = (select no from workspaces where id = $1)"
            ),
            " and a.command_id ",
            $comparison,
            " $2 order by a.command_id limit $3) b union all select * from (",
            select_events!(
                "from events e",
                "e.workspace_no = (select no from workspaces where id = $1)"
            ),
            " and e.command_id ",
            $comparison,
            " $2 order by e.command_id limit $3) e order by 2 limit $3"
        )
    };
}

pub(super) const AFTER: &str = page!(">");

pub(super) const FROM: &str = page!(">=");

/// The commands of the workspaces `$1` with the ids `$2`.
pub(super) const WANTED: &str = concat!(
    select_rows!(
        "from unnest($1::bigint[], $2::uuid[]) wanted (workspace_no, command_id)
             join answers a on a.workspace_no = wanted.workspace_no and a.command_id = wanted.command_id"
    ),
    " union all ",
    select_rows!(
        "from unnest($1::bigint[], $2::uuid[]) wanted (workspace_no, command_id)
             join earlier_commands a
                 on a.workspace_no = wanted.workspace_no and a.command_id = wanted.command_id"
    ),
    " union all ",
    select_events!(
        "from unnest($1::bigint[], $2::uuid[]) wanted (workspace_no, command_id)
             join events e on e.workspace_no = wanted.workspace_no and e.command_id = wanted.command_id",
        "true"
    )
);
