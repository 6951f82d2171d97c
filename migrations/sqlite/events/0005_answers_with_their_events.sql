-- The answer of a command follows from its events: where there are any, it needs no row of its own.
--
-- The first event of a command says what its metadata do not: that it is the first, and of which command. The columns are
-- null for every other event, and for what was recorded before; such a command keeps its row in `answers`.

-- of the command, and so of the event: a command's id is unique in its workspace
alter table events add column workspace_no integer;
-- SHA-256; tells a repetition from another command with the same id
alter table events add column body_digest blob;
-- how many events the command has: they follow one another in this stream, and so the answer follows from this row …
alter table events add column event_count integer;
-- … unless the command names several streams. JSON, as in `answers`
alter table events add column answer text;

-- Refuses a second command with the same id, whatever its partition is.
create unique index events_by_command on events (workspace_no, command_id) where workspace_no is not null;

-- The commands that no event tells of: those that appended nothing, those of before, and those that were imported.
alter table commands rename to answers;

-- A stream's version is the one of its newest event. `streams.version` stays what it was after the stream's first
-- append, or when this migration ran.

-- Every command that was accepted.
create view commands as
select workspace_no, command_id, body_digest, correlation_id, answer, null as event_count from answers
union all
select workspace_no, command_id, body_digest, correlation_id, answer, event_count from events
where workspace_no is not null;
