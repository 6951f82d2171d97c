//! The statements that read recorded commands: those with a row of their own, and those whose first event has
//! what their answer needs, see [`answer`](crate::answer).

/// The columns of [`CommandColumns`](crate::answer::CommandColumns), for the rows of `answers a`.
macro_rules! select_rows {
    ($rest:literal) => {
        concat!(
            "select a.workspace_no, a.command_id, a.body_digest, a.correlation_id, a.answer, \
             null, null, null, null, null ",
            $rest
        )
    };
}

/// The same, for the rows of `events e`.
macro_rules! select_events {
    ($from:literal, $rest:literal) => {
        concat!(
            "select e.workspace_no, e.command_id, e.body_digest, e.correlation_id, e.answer, \
             p.partition, e.place & 1099511627775, s.name, e.version, e.event_count ",
            $from,
            " cross join partitions p on p.no = e.place >> 40 cross join streams s on s.no = e.stream_no ",
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
    select_events!(
        "from events e indexed by events_by_command",
        "where e.workspace_no = (select no from open_workspaces where id = $1) and e.command_id = $2"
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
            " $2 order by a.command_id limit $3) union all select * from (",
            select_events!(
                "from events e indexed by events_by_command",
                "where e.workspace_no = (select no from workspaces where id = $1)"
            ),
            " and e.command_id ",
            $comparison,
            " $2 order by e.command_id limit $3) order by 2 limit $3"
        )
    };
}

pub(super) const AFTER: &str = page!(">");

pub(super) const FROM: &str = page!(">=");

/// The commands of `wanted (a, b)`: workspaces and ids.
pub(super) const WANTED: &str = concat!(
    select_rows!("from wanted cross join answers a on a.workspace_no = wanted.a and a.command_id = wanted.b"),
    " union all ",
    select_events!(
        "from wanted cross join events e indexed by events_by_command
             on e.workspace_no = wanted.a and e.command_id = wanted.b",
        ""
    )
);
